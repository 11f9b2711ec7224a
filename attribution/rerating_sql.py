"""The statements of a re-rating's preview: usage x (prices now, prices then), by day, owner and model."""

from __future__ import annotations

from attribution.misplaced import BY_PROMPT, IN_PIECE, PROMPT
from attribution.restating import IN_BOOKS
from finops.core.meters import HOT_METERS

_HOT = tuple(meter.label for meter in HOT_METERS)

# ``rated_part``: a slot, or a part of one (numbered below zero), whose prices change; ``on_day``: a day on
# which all of the slot's usage is that part's, None: every day.
TABLES = """
CREATE TEMP TABLE IF NOT EXISTS rated_part (
    slot_id integer, part integer, on_day date
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS rated_price (
    part integer, meter_id smallint, effective_price numeric
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS rated_usage (
    day date, dimension_set_id integer, slot_id integer, part integer, calls bigint,
    input bigint, cache_read bigint, cache_write bigint, cache_write_1h bigint, output bigint,
    reasoning bigint
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS rated_unit (
    day date, dimension_set_id integer, slot_id integer, part integer, meter_id smallint, quantity numeric
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS rated_line (
    day date, team text, feature text, provider text, model text, calls bigint, newly_priced bigint,
    newly_unpriced bigint, before numeric(48, 24), after numeric(48, 24)
) ON COMMIT DROP;
TRUNCATE rated_part, rated_price, rated_usage, rated_unit, rated_line"""
PARTS = "INSERT INTO rated_part SELECT * FROM unnest(%s::integer[], %s::integer[], %s::date[])"
PRICES = "INSERT INTO rated_price SELECT * FROM unnest(%s::integer[], %s::smallint[], %s::numeric[])"

_OF_PART = "p.slot_id = u.slot_id AND (p.on_day IS NULL OR p.on_day = u.day)"
WHOLE = (
    f"""INSERT INTO rated_usage
        SELECT u.day, u.dimension_set_id, u.slot_id, p.part, u.calls,
               {", ".join(f"u.{name}" for name in _HOT)}
        FROM usage_day u JOIN rated_part p ON {_OF_PART}""",
    f"""INSERT INTO rated_unit
        SELECT u.day, u.dimension_set_id, u.slot_id, p.part, u.meter_id, u.quantity
        FROM unit_day u JOIN rated_part p ON {_OF_PART}""",
)


def divided(*, by_prompt: bool) -> tuple[str, str]:
    """Usage and units of a day that is divided within, from its single calls.

    ``call_piece`` says which part each call is in; the prompt is looked at only where it decides.
    """
    prompt, bounds = (PROMPT, f" AND {BY_PROMPT.replace('asked', 'e')}") if by_prompt else ("0", "")
    calls = f"""
        FROM (SELECT e.*, {prompt} AS prompt FROM call_event e
              WHERE e.occurred_at >= %(first)s AND e.occurred_at < %(last)s AND e.slot_id = ANY(%(slots)s)
                AND {IN_BOOKS}) e
        JOIN call_piece p ON {IN_PIECE}{bounds}"""
    return (
        f"""INSERT INTO rated_usage
            SELECT %(day)s, e.dimension_set_id, e.slot_id, p.target, count(*),
                   {", ".join(f"sum(e.{name}::bigint)" for name in _HOT)} {calls}
            WHERE p.target = ANY(%(changed)s)
            GROUP BY 2, 3, 4""",
        f"""INSERT INTO rated_unit
            SELECT %(day)s, e.dimension_set_id, e.slot_id, p.target, unit.meter_id, sum(unit.quantity) {calls}
            JOIN call_unit unit ON unit.identity = e.identity AND unit.occurred_at = e.occurred_at
            WHERE p.target = ANY(%(changed)s)
            GROUP BY 2, 3, 4, 5""",
    )


def _pivot() -> str:
    return ", ".join(
        f"coalesce(max(effective_price) FILTER (WHERE meter_id = {meter.value}), 0) AS {meter.label}"
        for meter in HOT_METERS
    )


def _hot_cost(prices: str) -> str:
    return "coalesce(" + " + ".join(f"u.{name} * {prices}.{name}" for name in _HOT) + ", 0)"


LINES = f"""
WITH now_price AS MATERIALIZED (
    SELECT slot_id, meter_id, effective_price FROM slot_rate
    WHERE known_to IS NULL AND slot_id IN (SELECT slot_id FROM rated_usage)
),
now_hot AS MATERIALIZED (SELECT slot_id, {_pivot()} FROM now_price GROUP BY slot_id),
then_hot AS MATERIALIZED (SELECT part, {_pivot()} FROM rated_price GROUP BY part),
line AS (
    SELECT u.day, u.dimension_set_id, u.slot_id, u.calls,
           CASE WHEN now_hot.slot_id IS NULL AND then_hot.part IS NOT NULL THEN u.calls ELSE 0 END
               AS newly_priced,
           CASE WHEN now_hot.slot_id IS NOT NULL AND then_hot.part IS NULL THEN u.calls ELSE 0 END
               AS newly_unpriced,
           {_hot_cost("now_hot")} AS before, {_hot_cost("then_hot")} AS after
    FROM rated_usage u
    LEFT JOIN now_hot ON now_hot.slot_id = u.slot_id
    LEFT JOIN then_hot ON then_hot.part = u.part
    UNION ALL
    SELECT u.day, u.dimension_set_id, u.slot_id, 0, 0, 0,
           coalesce(u.quantity * n.effective_price, 0), coalesce(u.quantity * t.effective_price, 0)
    FROM rated_unit u
    LEFT JOIN now_price n ON n.slot_id = u.slot_id AND n.meter_id = u.meter_id
    LEFT JOIN rated_price t ON t.part = u.part AND t.meter_id = u.meter_id
)
INSERT INTO rated_line
SELECT line.day, owner.team, owner.feature, s.provider, s.model, sum(line.calls), sum(line.newly_priced),
       sum(line.newly_unpriced), sum(line.before), sum(line.after)
FROM line
JOIN price_slot s ON s.id = line.slot_id
JOIN attribution owner
  ON owner.dimension_set_id = line.dimension_set_id AND owner.known_to IS NULL
 AND (owner.valid_from IS NULL OR owner.valid_from <= line.day)
 AND (owner.valid_to IS NULL OR owner.valid_to > line.day)
GROUP BY 1, 2, 3, 4, 5"""
COLUMNS = "day, team, feature, provider, model, calls, newly_priced, newly_unpriced, before, after"
KEEP = f"INSERT INTO rerating_line (rerating_id, {COLUMNS}) SELECT %s, {COLUMNS} FROM rated_line"
TOTALS = """
SELECT coalesce(sum(calls), 0)::bigint, coalesce(sum(newly_priced), 0)::bigint,
       coalesce(sum(newly_unpriced), 0)::bigint,
       coalesce(sum(before), 0), coalesce(sum(after), 0), min(day), max(day)
FROM rated_line"""
# The same for the same lines, in whichever order they come.
FIGURES = f"""
SELECT count(*) || ' ' || coalesce(sum(hashtextextended(ROW({COLUMNS})::text, 0)::numeric), 0)
FROM rated_line WHERE day < %s"""
