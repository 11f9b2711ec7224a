"""What the tagging rules make of dimension sets, as parts of the statement that attributes them.

A set meets a rule when each field that the rule asks about has one of the values it allows; a field
is one of ``MATCHED``, or ``tags.<key>`` of an allocation key. Of the rules that set the same thing on a
day the first one counts: each rule's days are those of its version less the days of the rules before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attribution.tag_names import PREFIX, key_of

# What rules may ask about: the dimensions a call arrives with, and the team its key was bound to.
MATCHED = (
    "source",
    "api_key",
    "key_team",
    "team",
    "feature",
    "tier",
    "environment",
    "workflow",
    "step",
    "prompt_version",
    "release",
    "operation",
)
# Sets that agree on these belong to the same owner, as long as no rule asks about anything else.
OWNING = ("team", "feature", "tier", "key_team")
# What rules may set.
SET = ("team", "feature", "tier")

_FIELDS = ", ".join(f"'{name}'" for name in MATCHED)
# The columns of ``wanted`` that the rules read.
SAID = f"ARRAY[{', '.join(f'ds.{name}' for name in MATCHED)}] AS said, ds.tags"


def asked_about(matches: Iterable[Mapping[str, Sequence[str]]]) -> tuple[str, dict[str, Any]]:
    """A condition on ``dimension_set ds`` that holds for the sets which meet one of these, and its values."""
    values: dict[str, Any] = {}  # Any: whatever the driver adapts
    alternatives = []
    for number, match in enumerate(matches):
        conditions = []
        for place, name in enumerate(sorted(match)):
            column = f"ds.{name}"
            if name not in MATCHED:
                values[f"key_{number}_{place}"] = key_of(name)
                column = f"coalesce(ds.tags ->> %(key_{number}_{place})s, '')"
            exact, stems = f"exact_{number}_{place}", f"stems_{number}_{place}"
            values[exact] = [value for value in match[name] if not value.endswith("*")]
            values[stems] = [value[:-1] for value in match[name] if value.endswith("*")]
            conditions.append(
                f"({column} = ANY(%({exact})s::text[]) OR {column} <> '' AND EXISTS ("
                f"SELECT FROM unnest(%({stems})s::text[]) stem WHERE starts_with({column}, stem)))"
            )
        alternatives.append(" AND ".join(conditions) or "true")
    return " OR ".join(f"({one})" for one in alternatives) or "false", values


def _days(field: str, otherwise: str) -> str:
    """``field``_days: what the set has on which days, and the rule that says so (else NULL)."""
    return f"""
{field}_days AS (
    SELECT id, value, name, span FROM ruled WHERE field = '{field}'
    UNION ALL
    SELECT wanted.id, {otherwise}, NULL,
           unnest(datemultirange('(,)'::daterange) - coalesce(taken.days, datemultirange()))
    FROM wanted LEFT JOIN taken ON taken.id = wanted.id AND taken.field = '{field}'
)"""


# Needs ``wanted`` with id, said, tags, tagged_team, feature and tier; the last part is ``ruling``: the days
# of each set with the feature and tier it has on them, and the team where a rule says it.
RULING = f"""
rule AS MATERIALIZED (
    SELECT version.id AS version_id, version.rule_id, named.name, version.position, version.match,
           version.only_missing, version.span,
           team.slug AS team, feature.slug AS feature, tier.slug AS tier
    FROM (
        SELECT *, daterange(valid_from, lead(valid_from) OVER days) AS span
        FROM attribution_taggingruleversion
        WHERE known_to IS NULL
        WINDOW days AS (PARTITION BY rule_id ORDER BY valid_from NULLS FIRST)
    ) version
    JOIN attribution_taggingrule named ON named.id = version.rule_id
    LEFT JOIN attribution_team team ON team.id = version.team_id
    LEFT JOIN attribution_feature feature ON feature.id = version.feature_id
    LEFT JOIN attribution_tier tier ON tier.id = version.tier_id
    WHERE version.is_active
),
allowed AS MATERIALIZED (
    SELECT rule.version_id, asked.number, array_position(ARRAY[{_FIELDS}], asked.field) AS place,
           substr(asked.field, {len(PREFIX) + 1}) AS key,
           (SELECT count(*) FROM jsonb_object_keys(rule.match)) AS asked_about,
           right(value, 1) = '*' AS is_prefix,
           CASE WHEN right(value, 1) = '*' THEN left(value, -1) ELSE value END AS stem
    FROM rule, jsonb_each(rule.match) WITH ORDINALITY asked(field, choices, number),
         jsonb_array_elements_text(asked.choices) value
),
met AS (
    SELECT wanted.id, allowed.version_id
    FROM wanted CROSS JOIN allowed
    CROSS JOIN LATERAL (
        SELECT CASE WHEN place IS NULL THEN coalesce(wanted.tags ->> key, '') ELSE wanted.said[place] END
    ) told(value)
    WHERE CASE WHEN is_prefix THEN told.value <> '' AND starts_with(told.value, stem)
               ELSE told.value = stem END
    GROUP BY wanted.id, allowed.version_id, allowed.asked_about
    HAVING count(DISTINCT number) = asked_about
),
hit AS (
    SELECT met.id, given.field, given.value, rule.name, rule.span,
           rule.position, rule.rule_id, rule.version_id
    FROM met JOIN rule USING (version_id) JOIN wanted ON wanted.id = met.id
    CROSS JOIN LATERAL (VALUES
        ('team', rule.team, wanted.tagged_team IS NULL),
        ('feature', rule.feature, wanted.feature = ''),
        ('tier', rule.tier, wanted.tier = '')
    ) given(field, value, is_missing)
    WHERE given.value IS NOT NULL AND (given.is_missing OR NOT rule.only_missing)
),
ruled AS (
    SELECT id, field, value, name,
           unnest(datemultirange(span) - coalesce(range_agg(span) OVER earlier, datemultirange())) AS span
    FROM hit
    WINDOW earlier AS (
        PARTITION BY id, field ORDER BY position, rule_id, version_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),
taken AS (
    SELECT id, field, range_agg(span) AS days FROM hit GROUP BY id, field
),{_days("team", "NULL")},{_days("feature", "wanted.feature")},{_days("tier", "wanted.tier")},
ruling AS (
    SELECT wanted.*, teams.value AS ruled_team, teams.name AS team_rule,
           features.value AS has_feature, tiers.value AS has_tier,
           coalesce('; feature by tagging rule "' || features.name || '"', '')
           || coalesce('; tier by tagging rule "' || tiers.name || '"', '') AS also,
           teams.span * features.span * tiers.span AS span
    FROM wanted
    JOIN team_days teams ON teams.id = wanted.id
    JOIN feature_days features ON features.id = wanted.id AND features.span && teams.span
    JOIN tier_days tiers ON tiers.id = wanted.id AND tiers.span && teams.span * features.span
)"""
