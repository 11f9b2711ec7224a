"""What of the charges worked out is written: only what differs from what is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

_KEY = ("day", "dimension_set_id", "slot_id", "origin", "origin_id", "part")
_AMOUNTS = ("contracted_cost", "effective_cost", "billed_cost")
_SAME_KEY = " AND ".join(f"n.{name} = c.{name}" for name in _KEY)
_SAME = " AND ".join(f"n.{name} = c.{name}" for name in (*_KEY, "kind", *_AMOUNTS))
_COLUMNS = ", ".join((*_KEY, "kind", *_AMOUNTS))
_CURRENT = "c.known_to IS NULL AND (%(days)s::date[] IS NULL OR c.day = ANY(%(days)s::date[]))"


def supersede(cursor: Any, at: datetime) -> int:
    """What is known changed: rows that no longer hold are known until now, others from now on."""
    # Any: Django's cursor wrapper has no public type.
    said = {"at": at, "days": None}
    cursor.execute("ANALYZE charging_new")
    cursor.execute(_CLOSE, said)
    closed = int(cursor.rowcount)
    cursor.execute(_INSERT, said)
    return closed + int(cursor.rowcount)


def restate(cursor: Any, days: Iterable[date], known_from: datetime) -> int:
    """Usage changed: what the same terms make of it was known since they were."""
    said = {"at": known_from, "days": sorted(days)}
    cursor.execute("ANALYZE charging_new")
    written = 0
    for statement in (_DELETE, _UPDATE, _INSERT):
        cursor.execute(statement, said)
        written += int(cursor.rowcount)
    return written


def differences(cursor: Any) -> tuple[int, list[str]]:
    """How many charges should be there, and those that are not, are otherwise, or should not be there."""
    cursor.execute("SELECT count(*) FROM charging_new")
    (expected,) = cursor.fetchone()
    cursor.execute(_DIFFERENCES)
    return int(expected), [example for (example,) in cursor.fetchall()]


_CLOSE = f"""
UPDATE charge c SET known_to = %(at)s
WHERE {_CURRENT} AND NOT EXISTS (SELECT FROM charging_new n WHERE {_SAME})"""
_DELETE = f"""
DELETE FROM charge c WHERE {_CURRENT} AND NOT EXISTS (SELECT FROM charging_new n WHERE {_SAME_KEY})"""
_UPDATE = f"""
UPDATE charge c SET kind = n.kind, {", ".join(f"{name} = n.{name}" for name in _AMOUNTS)}
FROM charging_new n WHERE {_CURRENT} AND {_SAME_KEY} AND NOT ({_SAME})"""
_INSERT = f"""
INSERT INTO charge ({_COLUMNS}, list_cost, known_from)
SELECT {_COLUMNS}, 0, %(at)s FROM charging_new n
WHERE NOT EXISTS (SELECT FROM charge c WHERE {_CURRENT} AND {_SAME_KEY})
ORDER BY {", ".join(_KEY)}"""
_DIFFERENCES = f"""
SELECT concat_ws(' ', day, origin, origin_id, part, 'of set', dimension_set_id, 'and slot', slot_id)
FROM (
    SELECT {_COLUMNS}, sum(side) AS side FROM (
        SELECT {_COLUMNS}, 1 AS side FROM charging_new
        UNION ALL
        SELECT {_COLUMNS}, -1 FROM charge WHERE known_to IS NULL
    ) both_sides GROUP BY {_COLUMNS}
) compared
WHERE side <> 0"""
