"""Every benchmark runs, on an instance of its own, at a size that takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.results import Row
from tests.instances import ROOT, environment, free_port

EXPECTED = {
    "overview_page",
    "overview_queries",
    "rating",
    "catalogue_import",
    "rerating",
    "rerating_divided",
    "ingest_durable",
    "ingest_folded",
    "ingest_folded_against_django",
    "ingest_durable_cpu",
    "ingest_folded_cpu",
    "web_memory",
    "single_posts",
    "otlp_durable",
    "otlp_settled",
    "litellm_durable",
    "spool_write",
    "spool_replay",
    "freshness",
    "storage",
    *(
        f"query_{question}{part}"
        for question in ("showback", "daily_trend", "top_models", "p95_by_feature")
        for part in ("", "_p95")
    ),
}


def test_every_benchmark_prints_its_figure_and_writes_it_down(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", "bench", "--scale", "smoke", "--port", str(free_port())]

    done = subprocess.run(
        [*command, "--output", str(output)],
        cwd=ROOT,
        env=environment(),
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["name"] for row in printed} == EXPECTED
    assert all({"value", "unit", "reference", "ratio"} <= row.keys() and row["ratio"] > 0 for row in printed)
    assert json.loads(output.read_text())["rows"] == printed


def test_a_figure_that_was_not_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="x was not measured"):
        Row(name="x", value=0.0, unit="ms", reference=1.0, ratio=0.0, against="nothing", target="")
