"""Imports: carried out once whatever is killed, and undone as if they had never been."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import Model
from django.utils import timezone

from attribution import imports, partitions, refused_rows, rollups
from attribution.ingest import bulk, writer
from attribution.ingest.files import SourceFile
from attribution.ingest.formats import FORMATS
from attribution.ingest.intake import Sender, take_in
from attribution.ingest.layout import Layout
from attribution.ingest.native import from_records
from attribution.ingest.outcome import Outcome
from attribution.models import (
    BooksSetting,
    DataImport,
    ImportState,
    IngestBatch,
    TaskDay,
    UserDay,
    Verification,
)
from attribution.models import rollups as rollup_models
from attribution.verification import verify
from finops.accounts.models import AuditEntry
from finops.core.errors import Conflict, TooLarge, Unavailable
from tests import price_list

pytestmark = pytest.mark.django_db(transaction=True)
TABLES = sorted(
    model._meta.db_table
    for model in vars(rollup_models).values()
    if isinstance(model, type)
    and issubclass(model, Model)
    and not model._meta.abstract
    and model not in (BooksSetting, Verification, UserDay, TaskDay)
)
SEGMENTS = ("user_day", "task_day")
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, settings: Any) -> None:
    settings.IMPORTS_DIR = tmp_path / "imports"
    writer.forget()
    price_list.load()


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": f"e-{number}",
        "occurred_at": (NOON + timedelta(hours=7 * number)).isoformat() if number < 8 else NOON.isoformat(),
        "provider": "openai",
        "model": "gpt-4o",
        "usage": {"input_tokens": 100 + number, "output_tokens": 10, "units": {"web_search_calls": "2"}},
        "feature": "chat",
        "customer": "acme",
        "end_user": f"u-{number % 3}",
        "task_id": f"t-{number % 4}",
        "duration_ms": 100 * number,
        **fields,
    }


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


def waiting(content: bytes, **options: Any) -> DataImport:
    """An import that a person uploaded and started."""
    made = imports.put_aside([content], name="calls.jsonl", file_format="native", actor="ann@example.com")
    said = {**imports.options_of(Layout(), "import"), **options}
    return imports.start(made.pk, file_format="native", options=said, actor="ann@example.com")


def again(chosen: DataImport) -> DataImport:
    return DataImport.objects.get(pk=chosen.pk)


def book(*records: Any) -> None:
    """Calls that came otherwise."""
    take_in(from_records(list(records)), Sender("app"))
    rollups.fold()


def books() -> dict[str, Any]:
    """Everything that reports read, whichever way it got there."""
    found: dict[str, Any] = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT (to_jsonb(t) - 'id')::text FROM {table} t ORDER BY 1")
            found[table] = cursor.fetchall()
        for table in SEGMENTS:
            cursor.execute(
                f"SELECT day, dimension_set_id, slot_id, sum(calls),"
                f" array_agg(DISTINCT key ORDER BY key) FROM {table}, unnest(keys) key GROUP BY 1, 2, 3"
                " ORDER BY 1, 2, 3"
            )
            found[table] = [(day, *rest[:2], rest[-1]) for day, *rest in cursor.fetchall()]
        cursor.execute("SELECT event_id, input FROM call_event ORDER BY 1")
        found["calls"] = cursor.fetchall()
        cursor.execute("SELECT identity, quantity FROM call_unit ORDER BY 1")
        found["units"] = cursor.fetchall()
    return found


@pytest.mark.parametrize("folded", [True, False])
def test_an_undone_import_leaves_no_trace_in_the_books(folded: bool) -> None:
    book(*(record(number, event_id=f"other-{number}") for number in range(0, 20, 3)))
    before = books()
    chosen = waiting(lines(*(record(number) for number in range(20))))
    imports.carry_out(chosen.pk)
    if folded:
        rollups.fold()
        assert books() != before

    assert imports.undo(chosen.pk, actor="bob@example.com") == 20

    rollups.fold()
    assert books() == before
    assert not [check.name for check in verify().checks if check.failed]
    assert not IngestBatch.objects.filter(import_id=chosen.pk).exists()
    assert (again(chosen).state, again(chosen).undone_by) == (ImportState.UNDONE, "bob@example.com")
    assert list(AuditEntry.objects.order_by("pk").values_list("actor", "action")) == [
        ("ann@example.com", "start import"),
        ("bob@example.com", "undo import"),
    ]


def test_what_it_counted_and_refused_is_remembered_row_by_row() -> None:
    content = lines(record(1), record(1), record(1, model="gpt-4"), record(2, provider=""), "text", record(3))
    chosen = waiting(content)

    imports.carry_out(chosen.pk)

    done = again(chosen)
    assert (done.state, done.progress) == (ImportState.DONE, 100)
    counts = (done.records, done.accepted, done.duplicates, done.conflicts, done.refused)
    assert counts == (6, 2, 1, 1, 2)
    assert [row[:4] for row in refused_rows.of(done.pk)] == [
        ["3", "e-1", "event_id", "conflict"],
        ["4", "e-2", "provider", "too_short"],
        ["5", "", "", "wrong_type"],
    ]
    assert not imports.uploaded_file(done).exists()


def test_an_import_whose_worker_was_killed_is_carried_on_and_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = waiting(lines(*(record(number) for number in range(20))))
    add = bulk.Summary.add

    def killed(self: bulk.Summary, outcome: Outcome) -> None:
        add(self, outcome)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(bulk.Summary, "add", killed)
        patched.setattr(imports, "BATCH", 5)
        with pytest.raises(KeyboardInterrupt):
            imports.carry_out(chosen.pk)
    assert again(chosen).state == ImportState.RUNNING

    imports.resume()

    done = again(chosen)
    assert (done.state, done.records, done.accepted, done.duplicates) == (ImportState.DONE, 20, 20, 0)
    assert imports.undo(chosen.pk, actor="ann@example.com") == 20


def test_one_that_is_being_carried_out_elsewhere_is_left_alone_and_cannot_be_undone() -> None:
    chosen = waiting(lines(record(1)))
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        with imports._held(chosen.pk):
            held.set()
            end.wait(20)
        connections.close_all()

    other = threading.Thread(target=hold)
    other.start()
    try:
        assert held.wait(20)
        imports.resume()
        assert again(chosen).state == ImportState.WAITING
        with pytest.raises(imports.ImportBusy):
            imports.undo(chosen.pk, actor="ann@example.com")
    finally:
        end.set()
        other.join()
    imports.resume()
    assert again(chosen).state == ImportState.DONE


def test_while_the_database_is_away_it_waits_to_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = waiting(lines(record(1)))

    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(imports, "import_file", away)
        with pytest.raises(Unavailable):
            imports.carry_out(chosen.pk)
    assert again(chosen).state == ImportState.RUNNING
    imports.resume()
    assert again(chosen).accepted == 1


def test_a_file_that_is_none_fails_and_says_why() -> None:
    chosen = waiting(b'[{"event_id": ')
    imports.carry_out(chosen.pk)
    assert again(chosen).state == ImportState.FAILED
    assert "upload" in again(chosen).problem


def test_calls_past_retention_cannot_be_taken_out_and_nothing_is() -> None:
    chosen = waiting(lines(*(record(number) for number in range(20))))
    imports.carry_out(chosen.pk)
    rollups.fold()
    first_day = NOON.date()
    with connection.cursor() as cursor:
        for table in ("call_unit", "call_event"):
            cursor.execute(f"DROP TABLE {table}_{first_day:%Y%m%d}")
    before = books()

    with pytest.raises(rollups.RawCallsDropped, match="retention"):
        imports.undo(chosen.pk, actor="ann@example.com")

    assert books() == before
    assert again(chosen).state == ImportState.DONE
    assert first_day not in partitions.raw_days()


def test_only_what_has_ended_is_undone_and_only_once() -> None:
    chosen = waiting(lines(record(1)))
    imports.carry_out(chosen.pk)
    imports.undo(chosen.pk, actor="ann@example.com")
    with pytest.raises(Conflict):
        imports.undo(chosen.pk, actor="ann@example.com")
    with pytest.raises(Conflict):
        imports.drop_draft(chosen.pk)


def test_an_undone_file_can_be_imported_again() -> None:
    content = lines(record(1))
    for _ in range(2):
        chosen = waiting(content)
        imports.carry_out(chosen.pk)
        assert again(chosen).accepted == 1
        imports.undo(chosen.pk, actor="ann@example.com")


def test_undoing_while_a_fold_runs_waits_for_it() -> None:
    chosen = waiting(lines(*(record(number) for number in range(20))))
    imports.carry_out(chosen.pk)
    ended: list[int] = []

    def undo() -> None:
        ended.append(imports.undo(chosen.pk, actor="ann@example.com"))
        connections.close_all()

    with transaction.atomic(), connection.cursor() as cursor:
        rollups.lock(cursor)
        other = threading.Thread(target=undo)
        other.start()
        other.join(0.5)
        assert not ended
        rollups.fold()
    other.join(20)

    assert ended == [20]
    rollups.fold()
    assert books()["usage_day"] == []


def test_a_file_that_is_too_large_leaves_nothing_behind(settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 10
    with pytest.raises(TooLarge):
        imports.put_aside([b"12345", b"678901"], name="x.csv", file_format="csv", actor="ann@example.com")
    assert not DataImport.objects.exists()
    assert list(Path(settings.IMPORTS_DIR).iterdir()) == []


def test_drafts_that_nobody_came_back_to_are_forgotten() -> None:
    made = imports.put_aside([b"x"], name="x.csv", file_format="csv", actor="ann@example.com")
    DataImport.objects.update(created_at=timezone.now() - timedelta(days=2))
    imports.resume()
    assert not DataImport.objects.exists()
    assert not imports.uploaded_file(made).exists()


def test_a_command_is_remembered_too(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_bytes(lines(record(1), record(2)))
    with SourceFile(path, FORMATS["native"].contents) as file:
        imports.command_import(file, file_format="native", layout=Layout(), source=None)
    made = DataImport.objects.get()
    assert (made.state, made.made_by, made.accepted) == (ImportState.DONE, "", 2)
    assert imports.undo(made.pk, actor="ann@example.com") == 2
