"""What the statements of a question share: owners, slots, sources of usage, levels and names."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from attribution.cost_query import CostQuery, Granularity, Place, known_dimension
from attribution.raw_sql import raw_durations, raw_named, raw_units, raw_usage
from attribution.report_parts import (
    MONTH,
    USAGE,
    Statement,
    filters_on,
    known,
    model_tiers,
    owner_durations,
)
from attribution.tagging import splits_owners
from finops.core.periods import bucket_minutes


class ReportSql:
    """Composes the parts of one question's statements.

    Every row of an answer has a level: 0 a group's bucket, 1 a group, 2 a bucket of all, 3 the total;
    then its bucket, then the names of its group (k0, k1, ...), then what was asked.
    """

    def __init__(self, query: CostQuery, zone: ZoneInfo) -> None:
        self.query = query
        self.zone = zone
        self.owner_keys = self._keys_of(Place.OWNER, Place.ARRIVED)
        self.slot_keys = self._keys_of(Place.SLOT)
        by_customer = "customer" in query.group_by
        # Groups are numbered; the names behind the numbers are joined at the end.
        self.ranks = [
            *(["og"] if self.owner_keys else []),
            *(["sg"] if self.slot_keys else []),
            *(["c"] if by_customer else []),
            *(["kind"] if "charge_kind" in query.group_by else []),
        ]
        self.has_bucket = query.granularity != Granularity.TOTAL

    def _named_ones(self, table: str, s: Statement) -> str:
        return raw_named(table, **self._raw(s)) if self.query.by_customer else table

    def _durations(self, s: Statement) -> str:
        """The coarsest histogram that knows everything asked about: it has the fewest rows."""
        in_period = self.in_period(s)
        if self.query.by_customer:
            return f"(SELECT *, day + 1 AS until FROM {raw_durations(**self._raw(s))} u WHERE {in_period})"
        places = {known_dimension(name).place for name in self.query.used}
        if not places <= {Place.OWNER, Place.KIND} or splits_owners(self.query.period):
            return f"(SELECT *, day + 1 AS until FROM duration_day u WHERE {in_period})"
        if self.query.granularity == Granularity.DAY:
            return f"(SELECT *, day + 1 AS until FROM duration_owner_day u WHERE {in_period})"
        return owner_durations(self.query, s)

    def _raw(self, s: Statement) -> dict[str, str]:
        """What is needed to read single calls."""
        start, end = (s.bind(instant) for instant in self.query.period.instants(self.zone))
        return {"start": start, "end": end, "local": self._calendar(start, end, s)}

    def _keys_of(self, *places: Place) -> list[str]:
        return [name for name in self.query.group_by if known_dimension(name).place in places]

    def _owners(self, s: Statement) -> str:
        """owner: the sets asked about, their days and groups; owner_key: group by group."""
        query = self.query
        first, end = s.bind(query.period.first), s.bind(query.period.end)
        where = [
            known("a", query, s),
            f"(a.valid_from IS NULL OR a.valid_from < {end})",
            f"(a.valid_to IS NULL OR a.valid_to > {first})",
            *filters_on(Place.OWNER, query, s),
            *filters_on(Place.ARRIVED, query, s),
        ]
        if query.visible_teams is not None:
            where.append(f"a.team = ANY({s.bind(sorted(query.visible_teams))}::text[])")
        keys = "".join(f"{known_dimension(name).sql} AS o{i}, " for i, name in enumerate(self.owner_keys))
        order = "".join(f"o{i}, " for i in range(len(self.owner_keys)))
        group = f"dense_rank() OVER (ORDER BY {order.rstrip(', ')})::int AS og, " if order else ""
        og = "og, " if order else ""
        named = f",\nowner_name AS (SELECT DISTINCT og, {order.rstrip(', ')} FROM owner)" if order else ""
        return f"""
owner AS MATERIALIZED (
    SELECT dimension_set_id, first_day, end_day, unattributed, {order}{group}
           dense_rank() OVER (ORDER BY {order}unattributed)::int AS g
    FROM (
        SELECT a.dimension_set_id, {keys}a.team IS NULL AS unattributed,
               coalesce(a.valid_from, '-infinity') AS first_day,
               coalesce(a.valid_to, 'infinity') AS end_day
        FROM attribution a JOIN dimension_set ds ON ds.id = a.dimension_set_id
        WHERE {" AND ".join(where)}
    ) asked
),
owner_key AS (SELECT DISTINCT g, {og}unattributed FROM owner){named}"""

    def _slots(self, s: Statement) -> str:
        """slot: the price slots asked about and their groups; nothing when all are, in one group."""
        if not self._slots_matter():
            return ""
        where = filters_on(Place.SLOT, self.query, s) or ["true"]
        keys = "".join(f", {known_dimension(name).sql} AS s{i}" for i, name in enumerate(self.slot_keys))
        order = ", ".join(f"s{i}" for i in range(len(self.slot_keys)))
        group = f", {order}, dense_rank() OVER (ORDER BY {order})::int AS sg" if order else ""
        named = f",\nslot_name AS (SELECT DISTINCT sg, {order} FROM slot)" if order else ""
        tiers = join = ""
        if "model_tier" in self.query.used:
            tiers = f",\ntiers AS ({model_tiers(known('r', self.query, s))})"
            join = "JOIN tiers ON tiers.id = s.id"
        return f"""{tiers},
slot AS MATERIALIZED (
    SELECT id{group}
    FROM (SELECT s.id{keys} FROM price_slot s {join} WHERE {" AND ".join(where)}) asked
){named}"""

    def _slots_matter(self) -> bool:
        return any(known_dimension(name).place == Place.SLOT for name in self.query.used)

    def _is_counted(self, s: Statement) -> str:
        """The condition that usage is asked about."""
        asked = [self.slot_condition(), self._customer_condition(s)]
        return " AND ".join(asked if self.query.counts_usage else ["false"])

    def slot_condition(self) -> str:
        return "u.slot_id IN (SELECT id FROM slot)" if self._slots_matter() else "true"

    def _join_slots(self, alias: str) -> str:
        return f"JOIN slot ON slot.id = {alias}.slot_id" if self._slots_matter() else ""

    def in_period(self, s: Statement) -> str:
        period = self.query.period
        return f"u.day >= {s.bind(period.first)} AND u.day < {s.bind(period.end)}"

    def _source(self, kind: str, plain: tuple[str, ...], summed: tuple[str, ...], s: Statement) -> str:
        """The rollup to read, within the period, with the reporting day of each row."""
        period = self.query.period
        names = ", ".join(("dimension_set_id", "slot_id", *plain, *summed))
        if self.query.granularity == Granularity.HOUR:
            raw = self._raw(s)
            if self.query.by_customer:
                return raw_usage(summed, **raw) if kind == "usage" else raw_units(**raw)
            return (
                f"(SELECT day, bucket, {names} FROM {kind}_hour JOIN ({raw['local']}) local USING (bucket)"
                f" WHERE bucket >= {raw['start']} AND bucket < {raw['end']})"
            )
        days = f"day >= {s.bind(period.first)} AND day < {s.bind(period.end)}"
        if not self.query.by_customer:
            return f"(SELECT day, {names} FROM {kind}_day WHERE {days})"
        table = "customer_day" if kind == "usage" else "customer_unit_day"
        named = f"SELECT day, customer_id, {names} FROM {table} WHERE {days}"
        if self._named_customers_only():
            return f"({named})"
        # Calls without a customer are all calls less those with one.
        minus = ", ".join(("dimension_set_id", "slot_id", *plain, *(f"-{name}" for name in summed)))
        return (
            f"({named} UNION ALL SELECT day, 0, {names} FROM {kind}_day WHERE {days}"
            f" UNION ALL SELECT day, 0, {minus} FROM {table} WHERE {days})"
        )

    def _calendar(self, start: str, end: str, s: Statement) -> str:
        """Each bucket and its reporting day: looked up, for a zone's rules are slow to ask a row."""
        width = s.bind(timedelta(minutes=bucket_minutes(self.zone)))
        return (
            f"SELECT bucket, (bucket AT TIME ZONE {s.bind(self.zone.key)})::date AS day,"
            f" {width}::interval AS width"
            f" FROM generate_series({start}::timestamptz, {end}::timestamptz, {width}::interval) bucket"
        )

    def _named_customers_only(self) -> bool:
        wanted = self.query.filters.get("customer")
        return wanted is not None and not wanted.negated and not wanted.empty

    def _customer_condition(self, s: Statement) -> str:
        wanted = self.query.filters.get("customer")
        if wanted is None:
            return "true"
        names = s.bind(list(wanted.values))
        holds = f"u.customer_id IN (SELECT id FROM customer WHERE name = ANY({names}::text[]))"
        if wanted.empty:
            holds = f"({holds} OR u.customer_id = 0)"
        return f"NOT {holds}" if wanted.negated else holds

    def _customer(self) -> str:
        return "u.customer_id" if "c" in self.ranks else "0"

    def _bucket(self) -> str:
        match self.query.granularity:
            case Granularity.TOTAL:
                return "NULL::date"
            case Granularity.MONTH:
                return MONTH
            case Granularity.DAY:
                return "u.day"
            case Granularity.HOUR:
                if bucket_minutes(self.zone) == 60:
                    return "u.bucket"
                # Hours are counted from the local midnight where the offset is not a whole hour.
                return f"date_bin('1 hour', u.bucket, u.day::timestamp AT TIME ZONE '{self.zone.key}')"

    def first_bucket(self) -> str:
        """That of a whole day: what is known by day alone is in its first hour."""
        if self.query.granularity == Granularity.HOUR:
            return f"u.day::timestamp AT TIME ZONE '{self.zone.key}'"
        return self._bucket()

    def _b(self) -> str:
        return "b" if self.has_bucket else "NULL::date"

    def _listed(self) -> str:
        return "".join(f"{rank}, " for rank in self.ranks)

    def _listed_of_calls(self) -> str:
        """The same where they are first read: whatever calls tell is of usage."""
        return "".join(f"{USAGE} AS kind, " if rank == "kind" else f"{rank}, " for rank in self.ranks)

    def _level_list(self) -> list[tuple[int, list[str], list[str]]]:
        """(level, ranks, bucket) of everything that is totalled, the finest first."""
        buckets = [["b"], []] if self.has_bucket else [[]]
        ranks = [self.ranks, []] if self.ranks else [[]]
        return [(2 * (not chosen) + (not bucket), chosen, bucket) for chosen in ranks for bucket in buckets]

    def _sets(self, *more: str) -> str:
        return ", ".join(
            f"({', '.join((*ranks, *bucket, *more))})" for _, ranks, bucket in self._level_list()
        )

    def _level(self) -> str:
        keys = f"2 * GROUPING({self.ranks[0]})" if self.ranks else "2"
        return f"{keys} + {'GROUPING(b)' if self.has_bucket else '1'}"

    def _names(self) -> str:
        places = {
            **{name: f"owner_name.o{i}" for i, name in enumerate(self.owner_keys)},
            **{name: f"slot_name.s{i}" for i, name in enumerate(self.slot_keys)},
            "customer": "customer.name",
            "charge_kind": "answer.kind",
        }
        return "".join(f", {places[name]} AS k{i}" for i, name in enumerate(self.query.group_by))

    def _join_names(self) -> str:
        joins = {
            "og": "LEFT JOIN owner_name USING (og)",
            "sg": "LEFT JOIN slot_name USING (sg)",
            "c": "LEFT JOIN customer ON customer.id = answer.c",
            "kind": "",
        }
        return " ".join(joins[rank] for rank in self.ranks)
