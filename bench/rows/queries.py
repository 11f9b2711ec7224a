"""The usual reports over many events, through the HTTP API, against DuckDB over raw Parquet."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np

from bench import client, traffic
from bench.instance import Server
from bench.results import Row
from bench.scales import Scale

DAYS = 90
LIMIT_MS = 150.0
_AGAINST = "the same question in DuckDB over Parquet of the raw calls"
# One column a name, the owner already found and the cost already computed: DuckDB joins nothing.
_EXPORT = """
COPY (
    WITH rate AS (
        SELECT slot_id,
               sum(effective_price) FILTER (WHERE meter_id = 1) AS input,
               sum(effective_price) FILTER (WHERE meter_id = 2) AS cache_read,
               sum(effective_price) FILTER (WHERE meter_id = 3) AS cache_write,
               sum(effective_price) FILTER (WHERE meter_id = 4) AS cache_write_1h,
               sum(effective_price) FILTER (WHERE meter_id = 5) AS output,
               sum(effective_price) FILTER (WHERE meter_id = 6) AS reasoning
        FROM slot_rate WHERE known_to IS NULL GROUP BY slot_id)
    SELECT e.occurred_at AT TIME ZONE 'UTC' AS occurred_at, a.team, a.feature, a.tier, s.provider, s.model,
           d.environment, d.workflow, d.release, e.end_user, e.task_id, e.status, e.attempt,
           e.input, e.cache_read, e.cache_write, e.cache_write_1h, e.output, e.reasoning,
           nullif(e.duration_ms, -1) AS duration_ms, nullif(e.ttft_ms, -1) AS ttft_ms, e.tool_calls,
           coalesce(e.input * r.input, 0) + coalesce(e.cache_read * r.cache_read, 0)
           + coalesce(e.cache_write * r.cache_write, 0) + coalesce(e.cache_write_1h * r.cache_write_1h, 0)
           + coalesce(e.output * r.output, 0) + coalesce(e.reasoning * r.reasoning, 0) AS cost
    FROM call_event e
    JOIN dimension_set d ON d.id = e.dimension_set_id
    JOIN price_slot s ON s.id = e.slot_id
    LEFT JOIN rate r ON r.slot_id = e.slot_id
    JOIN attribution a ON a.dimension_set_id = e.dimension_set_id AND a.known_to IS NULL
     AND (a.valid_from IS NULL OR a.valid_from <= (e.occurred_at AT TIME ZONE 'UTC')::date)
     AND (a.valid_to IS NULL OR a.valid_to > (e.occurred_at AT TIME ZONE 'UTC')::date)
    WHERE e.occurred_at >= '{day}+00' AND e.occurred_at < '{day}+00'::timestamptz + interval '1 day'
) TO STDOUT (FORMAT csv, HEADER)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One report: how our API is asked, and how DuckDB is."""

    name: str
    path: str
    sql: str


def questions(until: date) -> list[Question]:
    """The four of docs/performance.md, over the window that ends before ``until``."""
    first = until - timedelta(days=DAYS)
    month = (until.replace(day=1) - timedelta(days=1)).replace(day=1)
    window = f"from={first}&to={until}"
    in_window = f"occurred_at >= '{first}' AND occurred_at < '{until}'"
    in_month = f"occurred_at >= '{month}' AND occurred_at < '{until.replace(day=1)}'"
    return [
        Question(
            name="showback",
            path=f"/api/v1/costs?from={month}&to={until.replace(day=1)}&granularity=month"
            "&group_by=team,feature,tier&measures=effective_cost,calls",
            sql=f"SELECT team, feature, tier, sum(cost), count(*) FROM calls WHERE {in_month} GROUP BY ALL",
        ),
        Question(
            name="daily_trend",
            path=f"/api/v1/costs?{window}&granularity=day&measures=effective_cost,calls",
            sql=f"SELECT occurred_at::date, sum(cost), count(*) FROM calls WHERE {in_window} GROUP BY ALL",
        ),
        Question(
            name="top_models",
            path=f"/api/v1/costs?{window}&granularity=total&group_by=model&measures=effective_cost,calls",
            sql=f"SELECT model, sum(cost) AS cost, count(*) FROM calls WHERE {in_window}"
            " GROUP BY ALL ORDER BY cost DESC LIMIT 20",
        ),
        Question(
            name="p95_by_feature",
            path=f"/api/v1/costs?{window}&granularity=total&group_by=feature&measures=p95_duration_ms,calls",
            sql="SELECT feature, quantile_cont(duration_ms, 0.95), count(*) FROM calls"
            f" WHERE {in_window} GROUP BY ALL",
        ),
    ]


def measure(server: Server, scale: Scale) -> Iterator[Row]:
    """Loads the events, then asks both sides in turn."""
    until = traffic.today()
    with duckdb.connect() as duck:
        duck.execute("SET threads = 2")
        _parquet(server, duck, until)
        _check_total(server, duck, until)
        for question in questions(until):
            yield from _ask(server, duck, question, scale.query_repeats)


def _ask(server: Server, duck: duckdb.DuckDBPyConnection, question: Question, repeats: int) -> Iterator[Row]:
    request = client.get(question.path, server.read_key)
    ours, theirs = [], []
    client.drive(server.port, [request], connections=1).require(200)
    duck.execute(question.sql).fetchall()
    for number in range(repeats):
        outcome = client.drive(server.port, [request], connections=1)
        outcome.require(200)
        ours.append(outcome.latencies[0] * 1000)
        if number % 4 == 0:
            theirs.append(_milliseconds(lambda: duck.execute(question.sql).fetchall()))
    yield Row(
        name=f"query_{question.name}", value=median(ours), unit="ms, median", reference=median(theirs),
        ratio=median(theirs) / median(ours), against=_AGAINST, target=">= 5",
    )  # fmt: skip
    p95 = float(np.percentile(ours, 95))
    yield Row(
        name=f"query_{question.name}_p95", value=p95, unit="ms, p95", reference=LIMIT_MS,
        ratio=p95 / LIMIT_MS, against="the limit", target="<= 1",
    )  # fmt: skip


def _milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def _parquet(server: Server, duck: duckdb.DuckDBPyConnection, until: date) -> None:
    """Every stored call with its names and its cost, one file a day, opened as the view ``calls``."""
    directory = server.instance.root / "parquet"
    directory.mkdir()
    with server.connect() as connection:
        for number in range(DAYS):
            day = until - timedelta(days=DAYS - number)
            file = directory / f"{day}.csv"
            with file.open("wb") as out, connection.cursor().copy(_EXPORT.format(day=day)) as copy:
                for piece in copy:
                    out.write(piece)
            _as_parquet(duck, file)
    duck.execute(f"CREATE VIEW calls AS SELECT * FROM read_parquet('{directory}/*.parquet')")


def _as_parquet(duck: duckdb.DuckDBPyConnection, file: Path) -> None:
    types = "types = {'cost': 'DECIMAL(38, 18)', 'occurred_at': 'TIMESTAMP'}"
    duck.execute(
        f"COPY (SELECT * FROM read_csv('{file}', {types}) ORDER BY team, feature, occurred_at)"
        f" TO '{file.with_suffix('.parquet')}' (FORMAT parquet, COMPRESSION zstd)"
    )
    file.unlink()


def _check_total(server: Server, duck: duckdb.DuckDBPyConnection, until: date) -> None:
    """Both sides speak of the same calls and the same money, to the last digit."""
    path = f"/api/v1/costs?from={until - timedelta(days=DAYS)}&to={until}&measures=effective_cost,calls"
    outcome = client.drive(server.port, [client.get(path, server.read_key)], connections=1)
    outcome.require(200)
    total: dict[str, Any] = json.loads(outcome.last_body)["total"]  # Any: JSON
    theirs = duck.execute("SELECT sum(cost), count(*) FROM calls").fetchone()
    if theirs is None or (Decimal(total["effective_cost"]), total["calls"]) != theirs:
        raise RuntimeError(f"the API says {total}, DuckDB {theirs}")
