"""The statements of ``verification``: each returns how many were checked, how many failed, examples."""

from __future__ import annotations

from attribution.rollup_sql import SUMS, by_span

_IN_BOOKS = """batch_id NOT IN (SELECT id FROM ingest_batch WHERE folded_at IS NULL)"""
_BY_CALL = {
    "calls": "count(*)",
    "errors": "count(*) FILTER (WHERE status IN (1, 2))",
    "retries": "count(*) FILTER (WHERE attempt > 1)",
}
_SUMMED_CALLS = ", ".join(f"{_BY_CALL.get(name, f'sum({name}::bigint)')} AS {name}" for name in SUMS)
_SUMMED = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
_DIFFERENT = " OR ".join(f"a.{name} IS DISTINCT FROM b.{name}" for name in SUMS)
_EXCEEDS = " OR ".join(f"a.{name} > b.{name}" for name in SUMS)


def _verdict(violations: str, checked: str) -> str:
    """``violations`` is a query with one text column, ``checked`` a scalar query."""
    return f"""
WITH violation(example) AS ({violations})
SELECT ({checked}), (SELECT count(*) FROM violation),
       (SELECT array_agg(example) FROM (SELECT example FROM violation LIMIT 5) few)"""


def _same(left: str, right: str, keys: tuple[str, ...], differs: str) -> str:
    """Rows of two queries that are not in both with equal values."""
    joined = " AND ".join(f"a.{key} = b.{key}" for key in keys)
    shown = " || ' ' || ".join(f"coalesce(a.{key}, b.{key})::text" for key in keys)
    return _verdict(
        f"SELECT {shown} FROM ({left}) a FULL JOIN ({right}) b ON {joined} WHERE {differs}",
        f"SELECT count(*) FROM ({right}) rows_checked",
    )


_SET_SLOT = ("dimension_set_id", "slot_id")
_METER = (*_SET_SLOT, "meter_id")

RAW_CHECKS = {
    # By set and slot of a UTC day: no bucket straddles its end.
    "calls add up to the hours": _same(
        f"""SELECT dimension_set_id, slot_id, {_SUMMED_CALLS} FROM call_event
            WHERE occurred_at >= %(start)s AND occurred_at < %(end)s AND {_IN_BOOKS} GROUP BY 1, 2""",
        f"""SELECT dimension_set_id, slot_id, {_SUMMED} FROM usage_hour
            WHERE bucket >= %(start)s AND bucket < %(end)s GROUP BY 1, 2""",
        _SET_SLOT,
        _DIFFERENT,
    ),
    "units of calls add up to the hours": _same(
        f"""SELECT e.dimension_set_id, e.slot_id, u.meter_id, sum(u.quantity) AS quantity
            FROM call_unit u JOIN call_event e USING (identity, occurred_at)
            WHERE u.occurred_at >= %(start)s AND u.occurred_at < %(end)s
              AND e.occurred_at >= %(start)s AND e.occurred_at < %(end)s
              AND u.{_IN_BOOKS} GROUP BY 1, 2, 3""",
        """SELECT dimension_set_id, slot_id, meter_id, sum(quantity) AS quantity FROM unit_hour
           WHERE bucket >= %(start)s AND bucket < %(end)s GROUP BY 1, 2, 3""",
        _METER,
        "a.quantity IS DISTINCT FROM b.quantity",
    ),
    # Save slots that a publication has just narrowed: their calls are moved within seconds.
    "calls lie in the interval of their price slot": _verdict(
        f"""SELECT e.identity::text FROM call_event e JOIN price_slot s ON s.id = e.slot_id
            WHERE e.occurred_at >= %(start)s AND e.occurred_at < %(end)s AND e.{_IN_BOOKS}
              AND (e.occurred_at < s.effective_from OR e.occurred_at >= s.effective_to)
              AND s.id NOT IN (SELECT slot_id FROM split_slot WHERE settled_at IS NULL)""",
        """SELECT count(*) FROM call_event
           WHERE occurred_at >= %(start)s AND occurred_at < %(end)s""",
    ),
}

# By whole reporting days: a segment does not say at which hour a user was served.
DAY_CHECKS = {
    f"{ones} of calls are those of the days": _same(
        f"""SELECT dimension_set_id, slot_id, count(*) AS calls, array_agg(DISTINCT key ORDER BY key) AS keys
            FROM (SELECT dimension_set_id, slot_id, hashtextextended({name}, 0) AS key
                  FROM call_event
                  WHERE occurred_at >= %(start)s AND occurred_at < %(end)s AND {_IN_BOOKS}
                    AND {name} IS NOT NULL) named
            GROUP BY 1, 2""",
        f"""SELECT dimension_set_id, slot_id, calls, keys
            FROM (SELECT dimension_set_id, slot_id, sum(calls) AS calls
                  FROM {table} WHERE day = %(day)s GROUP BY 1, 2) counted
            LEFT JOIN (SELECT dimension_set_id, slot_id, array_agg(DISTINCT key ORDER BY key) AS keys
                       FROM {table}, unnest(keys) key WHERE day = %(day)s GROUP BY 1, 2) named
              USING (dimension_set_id, slot_id)""",
        _SET_SLOT,
        "a.calls IS DISTINCT FROM b.calls OR a.keys IS DISTINCT FROM b.keys",
    )
    for table, name, ones in (("user_day", "end_user", "users"), ("task_day", "task_id", "tasks"))
}

# Batches whose calls all lie in the days compared.
BATCHES = _verdict(
    """SELECT format('batch %%s: %%s acknowledged, %%s stored', batch.id, batch.accepted, coalesce(n, 0))
       FROM ingest_batch batch
       LEFT JOIN (SELECT batch_id, count(*) AS n FROM call_event
                  WHERE occurred_at >= %(start)s AND occurred_at < %(end)s GROUP BY batch_id) stored
         ON stored.batch_id = batch.id
       WHERE batch.first_at >= %(start)s AND batch.last_at < %(end)s AND batch.accepted <> coalesce(n, 0)""",
    "SELECT count(*) FROM ingest_batch WHERE first_at >= %(start)s AND last_at < %(end)s",
)
# Up to the last audit: what came since is looked at by the next one.
IDENTITIES = _verdict(
    """SELECT identity::text FROM call_event
       WHERE occurred_at >= %(start)s AND occurred_at < %(end)s AND batch_id <= coalesce(
           (SELECT value::bigint FROM books_setting WHERE name = 'identities_audited_to_batch'), 0)
       GROUP BY identity HAVING count(*) > 1""",
    "SELECT count(*) FROM call_event WHERE occurred_at >= %(start)s AND occurred_at < %(end)s",
)

BOOK_CHECKS = {
    "hours add up to the days": _same(
        f"""SELECT (bucket AT TIME ZONE %(zone)s)::date AS day, dimension_set_id, slot_id, {_SUMMED}
            FROM usage_hour GROUP BY 1, 2, 3""",
        f"SELECT day, dimension_set_id, slot_id, {', '.join(SUMS)} FROM usage_day",
        ("day", *_SET_SLOT),
        _DIFFERENT,
    ),
    "units of hours add up to the days": _same(
        """SELECT (bucket AT TIME ZONE %(zone)s)::date AS day, dimension_set_id, slot_id, meter_id,
                  sum(quantity) AS quantity
           FROM unit_hour GROUP BY 1, 2, 3, 4""",
        "SELECT day, dimension_set_id, slot_id, meter_id, quantity FROM unit_day",
        ("day", *_METER),
        "a.quantity IS DISTINCT FROM b.quantity",
    ),
    "customers are part of the days": _verdict(
        f"""SELECT a.day || ' ' || a.dimension_set_id || ' ' || a.slot_id
            FROM (SELECT day, dimension_set_id, slot_id, {_SUMMED} FROM customer_day GROUP BY 1, 2, 3) a
            LEFT JOIN usage_day b USING (day, dimension_set_id, slot_id)
            WHERE b.day IS NULL OR {_EXCEEDS}""",
        "SELECT count(*) FROM customer_day",
    ),
    "units of customers are part of the days": _verdict(
        """SELECT a.day || ' ' || a.dimension_set_id || ' ' || a.slot_id || ' ' || a.meter_id
           FROM (SELECT day, dimension_set_id, slot_id, meter_id, sum(quantity) AS quantity
                 FROM customer_unit_day GROUP BY 1, 2, 3, 4) a
           LEFT JOIN unit_day b USING (day, dimension_set_id, slot_id, meter_id)
           WHERE b.day IS NULL OR a.quantity > b.quantity""",
        "SELECT count(*) FROM customer_unit_day",
    ),
    "durations, users and tasks are part of the days": _verdict(
        " UNION ALL ".join(
            f"""SELECT '{table} ' || a.day || ' ' || a.dimension_set_id || ' ' || a.slot_id
                FROM (SELECT day, dimension_set_id, slot_id, sum(calls) AS calls
                      FROM {table} GROUP BY 1, 2, 3) a
                LEFT JOIN usage_day b USING (day, dimension_set_id, slot_id)
                WHERE b.day IS NULL OR a.calls > b.calls"""
            for table in ("duration_day", "user_day", "task_day")
        ),
        "SELECT (SELECT count(*) FROM duration_day) + (SELECT count(*) FROM user_day)"
        " + (SELECT count(*) FROM task_day)",
    ),
    "durations by owner add up to the days": _same(
        "SELECT day, step, sum(calls) AS calls FROM duration_owner_day GROUP BY 1, 2",
        "SELECT day, step, sum(calls) AS calls FROM duration_day GROUP BY 1, 2",
        ("day", "step"),
        "a.calls IS DISTINCT FROM b.calls",
    ),
    "durations by owner of days add up to the spans": _same(
        by_span("duration_owner_day"),
        "SELECT first_day, end_day, dimension_set_id, step, calls FROM duration_owner_span",
        ("first_day", "end_day", "dimension_set_id", "step"),
        "a.calls IS DISTINCT FROM b.calls",
    ),
    "usage points to a known set, slot and customer": _verdict(
        """SELECT 'set ' || dimension_set_id || ', slot ' || slot_id
           FROM (SELECT DISTINCT dimension_set_id, slot_id FROM usage_day
                 UNION SELECT DISTINCT dimension_set_id, slot_id FROM unit_day) used
           WHERE NOT EXISTS (SELECT FROM dimension_set WHERE id = dimension_set_id)
              OR NOT EXISTS (SELECT FROM price_slot WHERE id = slot_id)
           UNION ALL
           SELECT 'customer ' || customer_id
           FROM (SELECT DISTINCT customer_id FROM customer_day) served
           WHERE NOT EXISTS (SELECT FROM customer WHERE id = customer_id)""",
        "SELECT count(*) FROM usage_day",
    ),
    "every set has an owner's row for every day": _verdict(
        """SELECT 'set ' || ds.id FROM dimension_set ds
           LEFT JOIN (SELECT dimension_set_id, range_agg(daterange(valid_from, valid_to)) AS days
                      FROM attribution WHERE known_to IS NULL GROUP BY 1) told
                  ON told.dimension_set_id = ds.id
           WHERE told.days IS DISTINCT FROM '{(,)}'::datemultirange""",
        "SELECT count(*) FROM dimension_set",
    ),
    "no day has two owners at one time of knowledge": _verdict(
        """SELECT 'set ' || a.dimension_set_id || ', rows ' || a.id || ' and ' || b.id
           FROM attribution a JOIN attribution b ON b.dimension_set_id = a.dimension_set_id AND b.id > a.id
           WHERE daterange(a.valid_from, a.valid_to) && daterange(b.valid_from, b.valid_to)
             AND tstzrange(a.known_from, a.known_to) && tstzrange(b.known_from, b.known_to)""",
        "SELECT count(*) FROM attribution",
    ),
    "a meter of a slot has one price at one time of knowledge": _verdict(
        """SELECT 'slot ' || a.slot_id || ', meter ' || a.meter_id
           FROM slot_rate a JOIN slot_rate b
             ON b.slot_id = a.slot_id AND b.meter_id = a.meter_id AND b.id > a.id
           WHERE tstzrange(a.known_from, a.known_to) && tstzrange(b.known_from, b.known_to)""",
        "SELECT count(*) FROM slot_rate",
    ),
    # Without the owners and without the meters' rows: quantity x price from the wide rows themselves.
    "cost is quantity times price": _same(
        """SELECT day, slot_id, sum(list_cost) AS list_cost, sum(contracted_cost) AS contracted_cost,
                  sum(effective_cost) AS effective_cost
           FROM cost_day WHERE meter_id IS NOT NULL GROUP BY 1, 2
           HAVING sum(list_cost) IS NOT NULL""",
        """SELECT day, slot_id, sum(quantity * list_price) AS list_cost,
                  sum(quantity * contracted_price) AS contracted_cost,
                  sum(quantity * effective_price) AS effective_cost
           FROM (SELECT day, slot_id, meter_id, quantity FROM unit_day
                 UNION ALL SELECT day, slot_id, 1, input FROM usage_day WHERE input <> 0
                 UNION ALL SELECT day, slot_id, 2, cache_read FROM usage_day WHERE cache_read <> 0
                 UNION ALL SELECT day, slot_id, 3, cache_write FROM usage_day WHERE cache_write <> 0
                 UNION ALL SELECT day, slot_id, 4, cache_write_1h FROM usage_day WHERE cache_write_1h <> 0
                 UNION ALL SELECT day, slot_id, 5, output FROM usage_day WHERE output <> 0
                 UNION ALL SELECT day, slot_id, 6, reasoning FROM usage_day WHERE reasoning <> 0) used
           JOIN slot_rate USING (slot_id, meter_id)
           WHERE known_to IS NULL GROUP BY 1, 2""",
        ("day", "slot_id"),
        "a.list_cost IS DISTINCT FROM b.list_cost OR a.contracted_cost IS DISTINCT FROM b.contracted_cost"
        " OR a.effective_cost IS DISTINCT FROM b.effective_cost",
    ),
    "over a finished commitment effective cost is what was billed": _verdict(
        """SELECT 'commitment ' || c.id FROM commitment c LEFT JOIN charge
             ON charge.origin = 'commitment' AND charge.origin_id = c.id AND charge.known_to IS NULL
           WHERE c.known_to IS NULL AND c.ends_on <= (SELECT max(today) FROM charging_state)
           GROUP BY c.id HAVING sum(charge.effective_cost) <> sum(charge.billed_cost)""",
        """SELECT count(*) FROM commitment
           WHERE known_to IS NULL AND ends_on <= (SELECT max(today) FROM charging_state)""",
    ),
    "hours cost what the days cost": _same(
        "SELECT day, sum(effective_cost) AS cost, sum(billed_cost) AS billed FROM cost_hour GROUP BY 1",
        "SELECT day, sum(effective_cost) AS cost, sum(billed_cost) AS billed FROM cost_day GROUP BY 1",
        ("day",),
        "a.cost IS DISTINCT FROM b.cost OR a.billed IS DISTINCT FROM b.billed",
    ),
}
