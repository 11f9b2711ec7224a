"""``manage.py import_events``: what files bring in, once, and what becomes of bad rows."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import zstandard
from django.core.management import CommandError, call_command
from django.test import Client

from attribution.rollups import fold
from finops.accounts.models import Scope
from tests import price_list
from tests.attribution.ingest.conftest import event, issue_key, rows

pytestmark = pytest.mark.django_db
AZURE = Path(__file__).resolve().parents[2] / "data" / "azure_llm_code_2023_first_500.csv"


def import_events(*files: Path, **options: Any) -> str:
    """Run the command; what it says."""
    out = StringIO()
    call_command("import_events", *map(str, files), stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def import_azure(file: Path = AZURE, **options: Any) -> str:
    columns = {
        "occurred_at": "TIMESTAMP",
        "usage.input_tokens": "ContextTokens",
        "usage.output_tokens": "GeneratedTokens",
    }
    constants = {"provider": "openai", "model": "gpt-4o", "feature": "code-completion"}
    defaults = {"format": "csv", "columns": columns.items(), "constants": constants.items()}
    return import_events(file, **{**defaults, "assume_utc": True, "source": "azure", **options})


def test_the_sums_of_a_real_trace_are_those_of_pandas() -> None:
    truth = pd.read_csv(AZURE)
    shift = (datetime.now(UTC) - datetime(2023, 11, 17, tzinfo=UTC)).days - 3

    said = import_azure(shift_days=shift)

    assert "500 records, 500 accepted, 0 duplicates, 0 conflicts, 0 in quarantine" in said
    assert rows("sum(input), sum(output), count(*)") == [
        (int(truth.ContextTokens.sum()), int(truth.GeneratedTokens.sum()), 500)
    ]
    first = pd.Timestamp(truth.TIMESTAMP[0], tz="UTC").to_pydatetime()
    assert rows("min(occurred_at)") == [(first + timedelta(days=shift),)]
    assert rows("source, feature", "dimension_set") == [("azure", "code-completion")]


def test_the_cost_of_a_real_trace_is_the_file_s_tokens_times_the_list_price(client: Client) -> None:
    price_list.load()
    truth = pd.read_csv(AZURE)
    price = Decimal("2.5") * int(truth.ContextTokens.sum()) + Decimal(10) * int(truth.GeneratedTokens.sum())

    import_azure(shift_days=1065)
    fold()
    answer = client.get(
        "/api/v1/costs?from=2026-10-01&to=2026-11-01&granularity=month&group_by=feature",
        headers={"Authorization": f"Bearer {issue_key('reader', Scope.READ)}"},
    ).json()

    [group] = answer["groups"]
    assert group["key"] == {"feature": "code-completion"}
    assert Decimal(group["buckets"][0]["effective_cost"]) == price / 1_000_000
    assert Decimal(answer["total"]["effective_cost"]) == price / 1_000_000


def test_a_file_imported_again_brings_nothing_whether_compressed_or_not(tmp_path: Path) -> None:
    zipped, squeezed = tmp_path / "trace.csv.gz", tmp_path / "trace.csv.zst"
    zipped.write_bytes(gzip.compress(AZURE.read_bytes()))
    squeezed.write_bytes(zstandard.ZstdCompressor().compress(AZURE.read_bytes()))
    import_azure()

    for file in (AZURE, zipped, squeezed):
        assert "0 accepted, 500 duplicates, 0 conflicts" in import_azure(file, batch_size=77)

    assert len(rows()) == 500


def test_rows_that_say_the_same_are_different_calls(tmp_path: Path) -> None:
    file = tmp_path / "same.csv"
    file.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "2026-10-01 00:00:00,5,1\n" * 3)

    assert "3 accepted" in import_azure(file)


def test_times_without_an_offset_are_refused_unless_said_to_be_utc() -> None:
    said = import_azure(assume_utc=False)

    assert "0 accepted, 0 duplicates, 0 conflicts, 500 in quarantine" in said
    assert rows("DISTINCT field, code", "quarantine") == [("occurred_at", "naive_time")]


def test_bad_rows_go_to_the_quarantine_once_with_their_reason_and_without_text(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    good = event("good")
    bad = {**event("bad", team="no slug"), "messages": ["a secret"], "note": "a secret"}
    lines = [json.dumps(good), '{"prompt": "a secret', json.dumps(bad), "[5]", "", json.dumps(event(7))]
    file.write_text("\n".join(lines))

    for accepted in (1, 0):
        said = import_events(file)
        assert f"{accepted} accepted, {1 - accepted} duplicates, 0 conflicts, 4 in quarantine" in said
        assert "unknown columns ignored: note" in said

    kept = rows("field, code, event_id, payload", "quarantine")
    assert [(field, code, event_id.rpartition("-")[2]) for field, code, event_id, _ in kept] == [
        ("", "wrong_type", "4"),
        ("event_id", "wrong_type", ""),
        ("line", "malformed", "2"),
        ("team", "not_a_slug", "bad"),
    ]
    assert "secret" not in str(kept)


@pytest.mark.parametrize("wrap", ["%s", '{"events": %s}', " [\n%s"], ids=["array", "object", "indented"])
def test_json_arrays_are_read_as_streams(tmp_path: Path, wrap: str) -> None:
    file = tmp_path / "events.json"
    text = json.dumps([event(f"e-{n:04}", tags={"n": "x" * 250}) for n in range(4000)], indent=1)
    file.write_text(wrap % text if "[" not in wrap[:3] else wrap % text.lstrip("["))

    assert "4000 accepted" in import_events(file)


def test_parquet_is_read_with_its_own_types(tmp_path: Path) -> None:
    file = tmp_path / "events.parquet"
    at = datetime(2026, 10, 1, 12, tzinfo=UTC)
    table = pa.table(
        {
            "event_id": ["a", "b", "c"],
            "occurred_at": [at, at + timedelta(hours=1), at],
            "provider": ["openai"] * 3,
            "model": ["gpt-4o"] * 3,
            "input_tokens": pd.array([1.0, None, 3.0], dtype="float64"),
            "output_tokens": [5, 6, -1],
        }
    )
    pq.write_table(table, file)

    assert "2 accepted, 0 duplicates, 0 conflicts, 1 in quarantine" in import_events(file)
    assert rows("event_id, occurred_at, input, output") == [
        ("a", at, 1, 5),
        ("b", at + timedelta(hours=1), 0, 6),
    ]


def test_columns_that_bear_a_field_s_name_need_no_mapping(tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text(
        "event_id,occurred_at,provider,model,input_tokens,usage.units.pages,tags.project,team,ignored\n"
        "a,2026-10-01T00:00:00Z,mistral,ocr,,2.5,x,search,z\n"
        "b,1790000000000,mistral,ocr,12,,,,\n"
    )

    assert "2 accepted" in import_events(file, format="csv")
    assert rows("event_id, input, detail->'tags'->>'project'") == [("a", 0, "x"), ("b", 12, None)]


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_imported(tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(AZURE.read_bytes())[:-100])
    errors = StringIO()

    with pytest.raises(CommandError, match="2 of 3 files could not be read"):
        call_command(
            "import_events",
            *(str(broken), str(tmp_path / "absent.csv"), str(AZURE)),
            format="csv",
            columns=[("occurred_at", "TIMESTAMP"), ("usage.input_tokens", "ContextTokens")],
            constants=[("provider", "openai"), ("model", "gpt-4o")],
            assume_utc=True,
            stdout=StringIO(),
            stderr=errors,
        )

    assert "broken.csv.gz" in errors.getvalue()
    assert "absent.csv: No such file or directory" in errors.getvalue()
    assert len(rows()) >= 500


def test_a_field_that_does_not_exist_is_refused_before_anything_is_read() -> None:
    with pytest.raises(CommandError, match='"feture" is not a field of an event'):
        import_azure(constants=[("feture", "chat")])
