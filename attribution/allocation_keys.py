"""Tag keys that costs are allocated by: declared, limited, dropped, and how they are used.

While a key is declared, the tag's value becomes part of the dimension set of every call that arrives.
Sets are never changed: calls that arrived before are without it, those that arrived meanwhile keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from attribution import ownership
from attribution.contracts import count_change
from attribution.models import AllocationKey, DimensionOverflow, SourceContract, TaggingRuleVersion
from attribution.organisation import today
from attribution.tag_names import KEY, name_of
from finops.accounts import audit
from finops.core.errors import Conflict, FieldProblem, InvalidInput, NotFound

# Sets are combinations: each further key multiplies their number.
MOST_KEYS = 10
MOST_VALUES, LEAST_VALUES, DEFAULT_VALUES = 10_000, 1, 500
DAYS = 7


@dataclass(frozen=True, slots=True)
class Usage:
    """How a key is used in the last days."""

    values: int = 0
    calls: int = 0
    capped_calls: int = 0  # of those, counted as "(other)"


@transaction.atomic
def declare(key: str, *, actor: str, most_values: int = DEFAULT_VALUES) -> AllocationKey:
    """From now on calls carry this tag in their dimension sets.

    ``most_values`` are kept of each source; further ones are "(other)". Raises Conflict where it is
    declared already, InvalidInput.
    """
    _change_alone()
    if not KEY.fullmatch(key):
        raise InvalidInput.field("key", "invalid", "A tag key is 1 to 64 of a-z, 0-9, _, - and the dot.")
    _check_most(most_values)
    row = AllocationKey.objects.filter(key=key).first() or AllocationKey(key=key)
    if row.pk and row.dropped_at is None:
        message = f'"{key}" is an allocation key already.'
        raise Conflict(message, [FieldProblem("key", "taken", message)])
    if AllocationKey.objects.filter(dropped_at=None).count() >= MOST_KEYS:
        raise InvalidInput.field("key", "too_many", f"There are {MOST_KEYS} allocation keys already.")
    row.most_values, row.dropped_at = most_values, None
    row.declared_at, row.declared_by = timezone.now(), actor
    row.save()
    _record(actor, "declared", row, None, {"most_values": most_values})
    return row


@transaction.atomic
def limit(key: str, most_values: int, *, actor: str) -> AllocationKey:
    """Keep so many values of each source from now on. Raises NotFound, InvalidInput."""
    _change_alone()
    row = declared_key(key)
    _check_most(most_values)
    before, row.most_values = row.most_values, most_values
    row.save(update_fields=["most_values"])
    if before != most_values:
        _record(actor, "changed", row, {"most_values": before}, {"most_values": most_values})
    return row


@transaction.atomic
def drop(key: str, *, actor: str) -> AllocationKey:
    """Calls that arrive from now on do not carry it. What was booked stays.

    Raises NotFound, and Conflict while a contract or a rule that is still to hold asks for it: their
    calls would be refused or change hands without anybody having said so.
    """
    _change_alone()
    row = declared_key(key)
    if asking := _asking(name_of(key)):
        raise Conflict(f'"{key}" is asked for by {", ".join(asking)}. Change that first.')
    row.dropped_at = timezone.now()
    row.save(update_fields=["dropped_at"])
    _record(actor, "dropped", row, {"most_values": row.most_values}, None)
    return row


def declared_key(key: str) -> AllocationKey:
    """The declared key. Raises NotFound."""
    found = AllocationKey.objects.filter(key=key, dropped_at=None).first()
    if found is None:
        raise NotFound(f'"{key}" is not declared as an allocation key.')
    return found


def usage(first: date | None = None) -> Mapping[str, Usage]:
    """By key, in the reporting days from ``first`` on (a week back). One query."""
    with connection.cursor() as cursor:
        cursor.execute(_USAGE, {"first": first or today() - timedelta(days=DAYS)})
        return {key: Usage(*counts) for key, *counts in cursor.fetchall()}


def overflows() -> list[DimensionOverflow]:
    """Sources that sent more values of an allocation key than are kept, the latest first."""
    names = [name_of(key) for key in AllocationKey.objects.values_list("key", flat=True)]
    return list(DimensionOverflow.objects.filter(dimension__in=names).order_by("-last_seen_at"))


def _change_alone() -> None:
    """Nobody else changes rules or contracts meanwhile: what they ask for stays declared."""
    ownership.lock()
    count_change()


def _check_most(most_values: int) -> None:
    if not LEAST_VALUES <= most_values <= MOST_VALUES:
        message = f"Keep {LEAST_VALUES} to {MOST_VALUES} values of a source."
        raise InvalidInput.field("most_values", "out_of_range", message)


def _asking(name: str) -> list[str]:
    contracts = [
        f"the contract of {contract.source}"
        for contract in SourceContract.objects.all()
        if name in contract.required or name in contract.allowed or name in contract.aliases
    ]
    return [*contracts, *(f'the tagging rule "{rule}"' for rule in _rules_to_hold(name))]


def _rules_to_hold(name: str) -> list[str]:
    """Rules that ask about it today, or on a day to come."""
    known = TaggingRuleVersion.objects.filter(known_to=None).select_related("rule")
    ends: dict[int, date | None] = {}  # of a rule, where the version met before begins
    found: set[str] = set()
    for version in sorted(known, key=lambda one: one.valid_from or date.min, reverse=True):
        end = ends.get(version.rule_id)
        ends[version.rule_id] = version.valid_from or date.min
        if version.is_active and name in version.match and (end is None or end > today()):
            found.add(version.rule.name)
    return sorted(found)


def _record(
    actor: str,
    what: str,
    row: AllocationKey,
    before: dict[str, Any] | None,  # Any: JSON
    after: dict[str, Any] | None,
) -> None:
    audit.record(
        actor,
        f"allocation_key.{what}",
        subject_kind="allocation key",
        subject=row.key,
        before=before,
        after=after,
    )


_USAGE = """
    SELECT tag.key, count(DISTINCT tag.value) FILTER (WHERE tag.value <> '(other)'),
           sum(used.calls)::bigint,
           coalesce(sum(used.calls) FILTER (WHERE tag.value = '(other)'), 0)::bigint
    FROM (SELECT dimension_set_id, sum(calls) AS calls FROM usage_day WHERE day >= %(first)s GROUP BY 1) used
    JOIN dimension_set ds ON ds.id = used.dimension_set_id AND ds.tags <> '{}',
         jsonb_each_text(ds.tags) tag
    GROUP BY 1
"""
