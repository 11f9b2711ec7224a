"""Tagging rules: what they say, which hold on a day and in which order, and what they make of a call.

What they make of the books is computed with the owners, by ``ownership_sql``; ``tagging_changes``
makes and changes them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from django.db import transaction
from django.utils import timezone

from attribution import ownership, tag_names
from attribution.models import Attribution, DimensionSet, TaggingRule, TaggingRuleVersion
from attribution.tagging_sql import MATCHED, OWNING
from finops.core.errors import FieldProblem, InvalidInput, NotFound
from finops.core.periods import Period

Match = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What a rule says. ``match``: each field named has one of its values; ``x*`` starts with x, '' is empty.

    ``sets`` has a team, a feature, a tier, or several. With ``only_missing`` it fills what a call does
    not say (a team that nobody knows counts as not said); else it overrides that as well.
    """

    match: Match
    sets: Mapping[str, str]
    only_missing: bool = True

    def meets(self, said: Mapping[str, str]) -> bool:
        """Whether a call that says so is one of those it asks about."""
        return all(_allows(values, said.get(name, "")) for name, values in self.match.items())

    def as_json(self) -> dict[str, Any]:
        """For the audit log and the API."""
        match = {name: list(values) for name, values in self.match.items()}
        return {"match": match, "set": dict(self.sets), "only_missing": self.only_missing}


def _allows(values: Sequence[str], said: str) -> bool:
    for value in values:
        if value.endswith("*"):
            if said and said.startswith(value[:-1]):
                return True
        elif said == value:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Standing:
    """One rule on a day: its version that holds, those still to come, and its whole known history."""

    rule: TaggingRule
    version: TaggingRuleVersion | None  # None: it begins later
    versions: tuple[TaggingRuleVersion, ...]  # by day, as known now

    @property
    def is_active(self) -> bool:
        return self.version is not None and self.version.is_active

    @property
    def coming(self) -> TaggingRuleVersion | None:
        """The next version that begins after this one."""
        later = self.versions[self.versions.index(self.version) + 1 :] if self.version else self.versions
        return later[0] if later else None

    @property
    def shown(self) -> TaggingRuleVersion:
        """The version that holds, else the first to come."""
        return self.version or self.versions[0]


def saying_of(version: TaggingRuleVersion) -> Saying:
    """What a version says."""
    rows = {"team": version.team, "feature": version.feature, "tier": version.tier}
    sets = {name: row.slug for name, row in rows.items() if row is not None}
    return Saying(match=version.match, sets=sets, only_missing=version.only_missing)


def fields_asked_about() -> tuple[str, ...]:
    """Everything that rules may ask about: names that calls arrive with, and tags of allocation keys."""
    return (*MATCHED, *tag_names.declared())


def rules_on(day: date) -> list[Standing]:
    """All rules in the order in which they are asked on that day; retired ones last. Two queries."""
    standings = [_standing(rule, day) for rule in _rules()]
    return sorted(standings, key=lambda one: (not one.is_active, one.shown.position, one.rule.pk))


def rule_on(rule_id: int, day: date) -> Standing:
    """One rule. Raises NotFound."""
    found = next(iter(_rules(pk=rule_id)), None)
    if found is None:
        raise NotFound(f"There is no tagging rule {rule_id}.")
    return _standing(found, day)


def history(rule_id: int) -> list[TaggingRuleVersion]:
    """Every version that was ever known, the latest knowledge first."""
    versions = TaggingRuleVersion.objects.filter(rule=rule_id).select_related("team", "feature", "tier")
    return list(versions.order_by("-known_from", "-pk"))


def splits_owners(period: Period) -> bool:
    """Whether sets of one team, feature, tier and key's team may belong to several owners in the period.

    True rather too often: a rule that ended before it, or was known to nobody, counts too.
    """
    asked_about = [name for name in (*MATCHED, *tag_names.ever_declared()) if name not in OWNING]
    versions = TaggingRuleVersion.objects.filter(is_active=True, match__has_any_keys=asked_about)
    return versions.exclude(valid_from__gte=period.end).exists()


def _rules(**filters: object) -> list[TaggingRule]:
    return list(
        TaggingRule.objects.filter(**filters).prefetch_related(
            "versions__team", "versions__feature", "versions__tier"
        )
    )


def _standing(rule: TaggingRule, day: date) -> Standing:
    known = [version for version in rule.versions.all() if version.known_to is None]
    known.sort(key=lambda version: version.valid_from or date.min)
    begun = [version for version in known if version.valid_from is None or version.valid_from <= day]
    return Standing(rule, begun[-1] if begun else None, tuple(known))


@dataclass(frozen=True, slots=True)
class Trial:
    """Whom a call that says so on that day is attributed to, and which rules it meets, in order."""

    team: str | None
    cost_centre: str | None
    business_unit: str | None
    feature: str | None
    tier: str | None
    rule: str
    met: tuple[tuple[str, Saying], ...]

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        body = asdict(replace(self, met=()))
        return {**body, "met": [{"rule": name, **saying.as_json()} for name, saying in self.met]}


def try_out(said: Mapping[str, str], day: date) -> Trial:
    """What becomes of a call with these names and tags. The very statement of the books says so, undone."""
    fields = fields_asked_about()
    if unknown := sorted(said.keys() - set(fields)):
        message = f"Rules may ask about {', '.join(fields)}."
        raise InvalidInput(message, [FieldProblem(name, "unknown", message) for name in unknown])
    values = {**dict.fromkeys(fields, ""), **said}
    tags = {tag_names.key_of(name): value for name, value in said.items() if name not in MATCHED and value}
    with transaction.atomic():
        made = DimensionSet.objects.create(
            hash=uuid.uuid4(),
            first_seen_at=timezone.now(),
            tags=tags,
            **{name: values[name] for name in MATCHED},
        )
        ownership.attribute_new_sets([made.pk])
        spans = Attribution.objects.filter(dimension_set=made).exclude(valid_from__gt=day)
        row = spans.exclude(valid_to__lte=day).get()
        transaction.set_rollback(True)
    met = tuple(
        (one.rule.name, saying_of(one.shown))
        for one in rules_on(day)
        if one.is_active and saying_of(one.shown).meets(values)
    )
    return Trial(row.team, row.cost_centre, row.business_unit, row.feature, row.tier, row.rule, met)
