"""The one statement that says whom each dimension set belongs to, day by day.

Each history is laid out as spans of days without gaps (a missing beginning is a span of nothing),
and a set's days are cut by every span that matters to it. Equal neighbours are joined again, so a
row is written only where something changes.

A call's team is what a tagging rule says, else the team it names, else the owner of its feature, else
the team of its API key; its feature and tier are what a rule says, else what it names.
"""

from __future__ import annotations

from attribution.tagging_sql import RULING, SAID


def _spans(name: str, table: str, subject: tuple[str, str], target: tuple[str, str]) -> str:
    """A history as (subject, target, span): ``subject`` and ``target`` are (column, registry table)."""
    column, registry = subject
    target_column, target_registry = target
    return f"""
{name} AS (
    SELECT subject.slug AS subject, target.slug AS target,
           daterange(move.valid_from, lead(move.valid_from) OVER days) AS span
    FROM {table} move
    JOIN {registry} subject ON subject.id = move.{column}
    LEFT JOIN {target_registry} target ON target.id = move.{target_column}
    WINDOW days AS (PARTITION BY subject.slug ORDER BY move.valid_from NULLS FIRST)
    UNION ALL
    SELECT subject.slug, NULL, daterange(NULL, min(move.valid_from))
    FROM {table} move
    JOIN {registry} subject ON subject.id = move.{column}
    GROUP BY subject.slug
    HAVING bool_and(move.valid_from IS NOT NULL)
)"""


_OWNER = _spans(
    "owner",
    "attribution_featureownership",
    ("feature_id", "attribution_feature"),
    ("team_id", "attribution_team"),
)
_PLACE = _spans(
    "place",
    "attribution_teamplacement",
    ("team_id", "attribution_team"),
    ("cost_centre_id", "attribution_costcentre"),
)
_UNIT = _spans(
    "unit",
    "attribution_costcentreplacement",
    ("cost_centre_id", "attribution_costcentre"),
    ("business_unit_id", "attribution_businessunit"),
)

_SAME = """
    held.dimension_set_id = told.dimension_set_id
    AND held.valid_from IS NOT DISTINCT FROM told.valid_from
    AND held.valid_to IS NOT DISTINCT FROM told.valid_to
    AND held.team IS NOT DISTINCT FROM told.team
    AND held.cost_centre IS NOT DISTINCT FROM told.cost_centre
    AND held.business_unit IS NOT DISTINCT FROM told.business_unit
    AND held.feature IS NOT DISTINCT FROM told.feature
    AND held.tier IS NOT DISTINCT FROM told.tier
    AND held.rule = told.rule
"""

# {sets} is a condition on dimension_set ds; known_from is when this became known.
REATTRIBUTE = f"""
WITH {_OWNER}, {_PLACE}, {_UNIT},
wanted AS (
    SELECT ds.id, ds.feature, ds.tier, ds.api_key, ds.key_team,
           tagged.slug AS tagged_team, keyed.slug AS keyed_team,
           CASE WHEN ds.team <> '' THEN format('unknown team "%%s"', ds.team) END AS unknown_tag,
           {SAID}
    FROM dimension_set ds
    LEFT JOIN attribution_team tagged ON tagged.slug = ds.team
    LEFT JOIN attribution_team keyed ON keyed.slug = ds.key_team
    WHERE {{sets}}
),
{RULING},
found AS (
    SELECT id, has_feature AS feature, has_tier AS tier, span, coalesce(ruled_team, tagged_team) AS team,
           CASE WHEN ruled_team IS NULL THEN 'event tag'
                ELSE format('tagging rule "%%s"', team_rule) END || also AS rule
    FROM ruling
    WHERE ruled_team IS NOT NULL OR tagged_team IS NOT NULL
    UNION ALL
    SELECT id, has_feature, has_tier, ruling.span * coalesce(owner.span, '(,)'),
           coalesce(owner.target, keyed_team),
           CASE
               WHEN owner.target IS NOT NULL THEN concat_ws(
                   '; ', format('owner of feature "%%s"', has_feature), unknown_tag)
               WHEN keyed_team IS NOT NULL THEN concat_ws(
                   '; ', format('team of API key "%%s"', api_key), unknown_tag)
               ELSE 'no team: ' || coalesce(nullif(concat_ws(
                   '; ', unknown_tag,
                   CASE WHEN has_feature <> '' THEN format('feature "%%s" has no owner', has_feature) END,
                   CASE WHEN key_team <> '' THEN format(
                       'unknown team "%%s" of API key "%%s"', key_team, api_key) END
               ), ''), 'no team tag, no feature, and no team of the API key')
           END || also
    FROM ruling
    LEFT JOIN owner ON owner.subject = has_feature AND owner.span && ruling.span
    WHERE ruled_team IS NULL AND tagged_team IS NULL
),
placed AS (
    SELECT found.id, found.feature, found.tier, found.team, found.rule,
           found.span * coalesce(place.span, '(,)') AS span, place.target AS cost_centre
    FROM found
    LEFT JOIN place ON place.subject = found.team AND place.span && found.span
),
cut AS (
    SELECT placed.id, placed.feature, placed.tier, placed.team, placed.rule, placed.cost_centre,
           placed.span * coalesce(unit.span, '(,)') AS span, unit.target AS business_unit
    FROM placed
    LEFT JOIN unit ON unit.subject = placed.cost_centre AND unit.span && placed.span
),
told AS (
    SELECT id AS dimension_set_id, team, cost_centre, business_unit,
           nullif(feature, '') AS feature, nullif(tier, '') AS tier, rule,
           lower(piece) AS valid_from, upper(piece) AS valid_to
    FROM (
        SELECT id, team, cost_centre, business_unit, feature, tier, rule,
               unnest(range_agg(span)) AS piece
        FROM cut
        GROUP BY id, team, cost_centre, business_unit, feature, tier, rule
    ) joined
),
held AS (
    SELECT a.* FROM attribution a JOIN wanted ON wanted.id = a.dimension_set_id WHERE a.known_to IS NULL
),
superseded AS (
    UPDATE attribution SET known_to = %(known_from)s
    WHERE id IN (SELECT held.id FROM held WHERE NOT EXISTS (SELECT FROM told WHERE {_SAME}))
),
fresh AS (
    INSERT INTO attribution (dimension_set_id, valid_from, valid_to, known_from,
                             team, cost_centre, business_unit, feature, tier, rule)
    SELECT told.dimension_set_id, told.valid_from, told.valid_to,
           CASE WHEN EXISTS (
               SELECT FROM attribution a WHERE a.dimension_set_id = told.dimension_set_id
           ) THEN %(known_from)s::timestamptz END,
           told.team, told.cost_centre, told.business_unit, told.feature, told.tier, told.rule
    FROM told
    WHERE NOT EXISTS (SELECT FROM held WHERE {_SAME})
    ORDER BY told.dimension_set_id, told.valid_from NULLS FIRST
    RETURNING 1
)
SELECT count(*) FROM fresh
"""
