"""Changes to tagging rules: made, changed, put in order, retired. Each from a reporting day on.

A rule is never edited: what it says from a day on is a version, which holds until the next one. A
version that replaces another of the same day leaves that one in the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from attribution import ownership
from attribution.models import Feature, TaggingRule, TaggingRuleVersion, Team, Tier
from attribution.organisation import today
from attribution.tagging import Match, Saying, Standing, fields_asked_about, rule_on, rules_on, saying_of
from attribution.tagging_sql import SET, asked_about
from finops.accounts import audit
from finops.core.errors import Conflict, FieldProblem, InvalidInput

MOST_RULES = 500
MOST_VALUES = 100
LONGEST_NAME, LONGEST_VALUE = 128, 256
# Places are this far apart, so that a rule put between two others leaves them where they are.
_APART = 1000


@transaction.atomic
def add(
    name: str,
    saying: Saying,
    *,
    actor: str,
    effective_from: date | None,
    effective_to: date | None = None,
    place: int | None = None,
) -> Standing:
    """A new rule from that reporting day on (None: since ever), at a place from 1 (None: the last).

    Raises Conflict for a name that is taken, InvalidInput.
    """
    known_from = ownership.lock()
    if not name.strip() or len(name) > LONGEST_NAME:
        raise InvalidInput.field("name", "invalid", f"A name is 1 to {LONGEST_NAME} characters.")
    if TaggingRule.objects.count() >= MOST_RULES:
        raise InvalidInput.field("name", "too_many", f"There are {MOST_RULES} rules already.")
    if effective_to is not None and effective_from is not None and effective_to <= effective_from:
        raise InvalidInput.field("effective_to", "invalid", "The end must come after the beginning.")
    position = _position([one for one in rules_on(effective_from or today()) if one.is_active], place)
    try:
        with transaction.atomic():
            rule = TaggingRule.objects.create(name=name.strip())
    except IntegrityError as error:
        message = f'There is already a tagging rule "{name.strip()}".'
        raise Conflict(message, [FieldProblem("name", "taken", message)]) from error
    draft = _draft(rule, saying, known_from, actor, position)
    _write(draft, effective_from)
    if effective_to is not None:
        _write(replace(draft, is_active=False), effective_to)
    _record(
        actor,
        "created",
        rule,
        None,
        {**saying.as_json(), "from": _iso(effective_from), "to": _iso(effective_to)},
    )
    _reattribute(rule, known_from)
    return rule_on(rule.pk, today())


@transaction.atomic
def change(
    rule_id: int,
    saying: Saying,
    *,
    actor: str,
    effective_from: date | None,
    name: str | None = None,
    place: int | None = None,
) -> Standing:
    """From that day on the rule says this, active or not before. Raises NotFound, Conflict, InvalidInput."""
    known_from = ownership.lock()
    before = rule_on(rule_id, effective_from or date.min)
    rule, shown = before.rule, before.shown
    _rename(rule, name, actor)
    position = shown.position
    if place is not None:
        others = [one for one in rules_on(effective_from or today()) if one.is_active and one.rule != rule]
        position = _position(others, place)
    _write(_draft(rule, saying, known_from, actor, position), effective_from)
    _record(
        actor,
        "changed",
        rule,
        saying_of(shown).as_json() if before.is_active else None,
        {**saying.as_json(), "from": _iso(effective_from)},
    )
    _reattribute(rule, known_from)
    return rule_on(rule_id, today())


@transaction.atomic
def retire(rule_id: int, *, actor: str, effective_from: date | None) -> Standing:
    """From that day on the rule says nothing; what it said before stays. Raises NotFound."""
    known_from = ownership.lock()
    standing = rule_on(rule_id, effective_from or date.min)
    shown = standing.shown
    draft = _draft(standing.rule, saying_of(shown), known_from, actor, shown.position)
    _write(replace(draft, is_active=False), effective_from)
    _record(actor, "retired", standing.rule, saying_of(shown).as_json(), {"from": _iso(effective_from)})
    _reattribute(standing.rule, known_from)
    return rule_on(rule_id, today())


@transaction.atomic
def reorder(rule_ids: Sequence[int], *, actor: str, effective_from: date | None) -> list[Standing]:
    """From that day on the rules are asked in this order: all that are active then, each once."""
    known_from = ownership.lock()
    active = [one for one in rules_on(effective_from or date.min) if one.is_active]
    by_id = {one.rule.pk: one for one in active}
    if sorted(rule_ids) != sorted(by_id):
        message = "Name every rule that is active on that day, each once."
        raise InvalidInput.field("order", "incomplete", message)
    for place, rule_id in enumerate(rule_ids, start=1):
        one = by_id[rule_id]
        if one.shown.position != place * _APART:
            draft = _draft(one.rule, saying_of(one.shown), known_from, actor, place * _APART)
            _write(draft, effective_from)
    names = [by_id[rule_id].rule.name for rule_id in rule_ids]
    audit.record(
        actor,
        "tagging_rules.reordered",
        subject_kind="tagging rule",
        subject="",
        before={"order": [one.rule.name for one in active]},
        after={"order": names, "from": _iso(effective_from)},
    )
    ownership.reattribute_all(known_from)
    return rules_on(today())


def _reattribute(rule: TaggingRule, known_from: datetime) -> None:
    """The sets that any version of the rule asks about, as it stood until now and as it stands."""
    versions = TaggingRuleVersion.objects.filter(rule=rule)
    still_known = [version.match for version in versions if version.known_to in (None, known_from)]
    where, values = asked_about(still_known)
    ownership.reattribute_sets(known_from, where, values)


@dataclass(frozen=True, slots=True)
class _Draft:
    rule: TaggingRule
    saying: Saying
    known_from: datetime
    made_by: str
    position: int
    rows: Mapping[str, Any] = field(default_factory=dict)  # Any: registry rows by what they are set as
    is_active: bool = True


def _draft(rule: TaggingRule, saying: Saying, known_from: datetime, actor: str, position: int) -> _Draft:
    return _Draft(rule, saying, known_from, actor, position, checked(saying))


def _write(draft: _Draft, day: date | None) -> None:
    """The version of that day, in the place of the one that is known for it now."""
    known = TaggingRuleVersion.objects.filter(rule=draft.rule, valid_from=day, known_to=None)
    known.update(known_to=draft.known_from)
    TaggingRuleVersion.objects.create(
        rule=draft.rule,
        valid_from=day,
        known_from=draft.known_from,
        made_by=draft.made_by,
        is_active=draft.is_active,
        position=draft.position,
        match={name: list(values) for name, values in draft.saying.match.items()},
        only_missing=draft.saying.only_missing,
        **draft.rows,
    )


def checked(saying: Saying) -> dict[str, Team | Feature | Tier]:
    """The registry rows that a rule sets. Raises InvalidInput, naming every field that is wrong."""
    problems = [*_match_problems(saying.match)]
    rows: dict[str, Team | Feature | Tier] = {}
    models: dict[str, type[Team | Feature | Tier]] = {"team": Team, "feature": Feature, "tier": Tier}
    for name, slug in saying.sets.items():
        if name not in models:
            problems.append(FieldProblem(f"set.{name}", "unknown", f"A rule sets {', '.join(SET)}."))
        elif (row := models[name]._default_manager.filter(slug=slug).first()) is None:
            problems.append(FieldProblem(f"set.{name}", "unknown", f'There is no {name} "{slug}".'))
        else:
            rows[name] = row
    if not saying.sets:
        problems.append(FieldProblem("set", "required", "Say what the rule sets: team, feature or tier."))
    if problems:
        raise InvalidInput(problems[0].message, problems)
    return rows


def _match_problems(match: Match) -> list[FieldProblem]:
    if not match:
        return [FieldProblem("match", "required", 'Say which calls: {"source": ["*"]} is all of them.')]
    problems = []
    fields = fields_asked_about()
    for name, values in match.items():
        where = f"match.{name}"
        if name not in fields:
            problems.append(FieldProblem(where, "unknown", f"A rule may ask about {', '.join(fields)}."))
        elif not values or len(values) > MOST_VALUES:
            problems.append(FieldProblem(where, "invalid", f"Give 1 to {MOST_VALUES} values."))
        elif any(len(value) > LONGEST_VALUE or not value.isprintable() for value in values):
            message = f"A value is at most {LONGEST_VALUE} printable characters."
            problems.append(FieldProblem(where, "invalid", message))
    return problems


def _position(others: Sequence[Standing], place: int | None) -> int:
    """A number between those of the neighbours at that place; they need not move."""
    positions = [one.shown.position for one in others]
    if place is None or place > len(positions):
        # Behind the rules of every day, not only of the one that ``others`` were asked for.
        known = TaggingRuleVersion.objects.filter(known_to=None, is_active=True)
        return (known.aggregate(last=Max("position"))["last"] or 0) + _APART
    before = positions[place - 2] if place > 1 else positions[0] - 2 * _APART
    between = (before + positions[place - 1]) // 2
    if place > 1 and between == before:
        message = "There is no room at this place: put the rules in order first."
        raise InvalidInput.field("position", "no_room", message)
    return between


def _rename(rule: TaggingRule, name: str | None, actor: str) -> None:
    if name is None or name == rule.name:
        return
    before, rule.name = rule.name, name.strip()
    if not rule.name or len(rule.name) > LONGEST_NAME:
        raise InvalidInput.field("name", "invalid", f"A name is 1 to {LONGEST_NAME} characters.")
    try:
        with transaction.atomic():
            rule.save(update_fields=["name"])
    except IntegrityError as error:
        message = f'There is already a tagging rule "{rule.name}".'
        raise Conflict(message, [FieldProblem("name", "taken", message)]) from error
    _record(actor, "renamed", rule, {"name": before}, {"name": rule.name})


def _record(
    actor: str, what: str, rule: TaggingRule, before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    audit.record(
        actor,
        f"tagging_rule.{what}",
        subject_kind="tagging rule",
        subject=rule.name,
        before=before,
        after=after,
    )


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
