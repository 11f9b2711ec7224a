"""Imports of files: put aside, looked at, carried out by a worker, remembered, and undone as a whole.

Whoever carries one out holds a lock of its database session, which ends with the process: an import whose
worker was killed is found without a holder and carried out again, and identity makes that safe.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, Min, Sum
from django.utils import timezone

from attribution import refused_rows, rollups
from attribution.ingest.bulk import BATCH, Summary, import_file
from attribution.ingest.files import SourceFile
from attribution.ingest.formats import FORMATS
from attribution.ingest.intake import Sender
from attribution.ingest.layout import Layout
from attribution.ingest.outcome import Outcome
from attribution.models import DataImport, ImportState, IngestBatch, ReportPeriod
from finops.accounts import audit
from finops.core.errors import Conflict, FinopsError, NotFound, TooLarge, Unavailable
from finops.core.periods import local_day

# The first half of the advisory lock of an import; the second is its id, or nobody's for the one turn
# that all uploads share: however many wait, the other tasks of the worker go on.
_LOCK_CLASS = 7_305
_TURN = 0
_DRAFTS_KEPT = timedelta(days=1)

logger = logging.getLogger(__name__)


class ImportBusy(Conflict):
    """It is being carried out or undone right now."""

    code = "import_busy"


def put_aside(chunks: Iterable[bytes], *, name: str, file_format: str, actor: str) -> DataImport:
    """Keep an uploaded file until it was imported; nothing is imported yet.

    Raises TooLarge, and leaves nothing behind then.
    """
    made = DataImport.objects.create(
        made_by=actor, file_name=name[-255:], file_format=file_format, is_uploaded=True
    )
    path = uploaded_file(made)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("wb") as file:
            for chunk in chunks:
                made.file_bytes += len(chunk)
                if made.file_bytes > settings.IMPORT_MAX_BYTES:
                    raise TooLarge(f"The file is larger than {settings.IMPORT_MAX_BYTES} bytes.")
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        made.delete()
        raise
    made.save(update_fields=["file_bytes"])
    return made


@transaction.atomic
def describe(import_id: int, *, file_format: str, options: dict[str, Any]) -> DataImport:
    """Say how a draft is to be read. Raises NotFound, Conflict when it was started."""
    chosen = _locked(import_id)
    if chosen.state != ImportState.DRAFT:
        raise Conflict("This import was started before.")
    chosen.file_format, chosen.options = file_format, options
    chosen.save(update_fields=["file_format", "options"])
    return chosen


@transaction.atomic
def start(import_id: int, *, file_format: str, options: dict[str, Any], actor: str) -> DataImport:
    """Let a worker carry out what was put aside. Raises NotFound, Conflict when it was started before."""
    chosen = describe(import_id, file_format=file_format, options=options)
    chosen.state = ImportState.WAITING
    chosen.save(update_fields=["state"])
    audit.record(actor, "start import", subject_kind="import", subject=str(chosen), after=_said(chosen))
    return chosen


def carry_out(import_id: int) -> None:
    """Import the file, unless it is done, or this or another upload is being imported elsewhere.

    Raises Unavailable to be tried again.
    """
    with _held(_TURN) as is_our_turn, _held(import_id) as is_mine:
        if not (is_our_turn and is_mine):
            return
        chosen = DataImport.objects.get(pk=import_id)
        if not (chosen.is_moving and chosen.is_uploaded):
            return
        try:
            with SourceFile(uploaded_file(chosen), FORMATS[chosen.file_format].contents) as file:
                follow(chosen, file)
        except Unavailable:
            raise
        except FinopsError as error:
            _end(chosen, ImportState.FAILED, problem=error.detail)
        uploaded_file(chosen).unlink(missing_ok=True)


def command_import(
    file: SourceFile, *, file_format: str, layout: Layout, source: str | None, **how: Any
) -> Summary:
    """What ``manage.py import_events`` does with one file: remembered like any other, by nobody's name."""
    options = options_of(layout, source)
    made = DataImport.objects.create(
        file_name=file.path.name[-255:],
        file_bytes=file.size,
        file_format=file_format,
        options=options,
        state=ImportState.RUNNING,
    )
    with _held(made.pk):
        try:
            return follow(made, file, **how)
        except FinopsError as error:
            _end(made, ImportState.FAILED, problem=error.detail)
            raise


def follow(
    chosen: DataImport,
    file: SourceFile,
    *,
    shift: timedelta = timedelta(),
    batch: int = BATCH,
    progress: Any = None,  # Any: a callable that is told the position
) -> Summary:
    """Import the file and write down how far it is, and row by row what was refused."""
    form = FORMATS[chosen.file_format]
    DataImport.objects.filter(pk=chosen.pk).update(
        state=ImportState.RUNNING, started_at=timezone.now(), position=0, problem=""
    )
    with refused_rows.listing(chosen.pk) as refused:

        def told(summary: Summary, outcome: Outcome) -> None:
            refused.note(summary, outcome)
            _note(chosen, summary, file.position)
            if progress is not None:
                progress(file.position)

        summary = import_file(
            file,
            layout=layout_of(chosen.options),
            sender=Sender(chosen.options.get("source") or form.source),
            form=form,
            shift=shift,
            batch=batch,
            import_id=chosen.pk,
            told=told,
        )
    _note(chosen, summary, file.position)
    _end(chosen, ImportState.DONE)
    return summary


def undo(import_id: int, *, actor: str) -> int:
    """Take the calls of an import out of the books, all of them or none; how many there were.

    One transaction, and no fold meanwhile: the rollups of every day that it touched are recomputed with
    it. Raises NotFound, ImportBusy, Conflict for one that is not in the books, and RawCallsDropped when
    retention has taken single calls that would be needed.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        chosen = _locked(import_id)
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCK_CLASS, import_id])
        if not cursor.fetchone()[0]:
            raise ImportBusy("It is still running: wait until it has ended.")
        if chosen.state not in (ImportState.DONE, ImportState.FAILED):
            raise Conflict("Only an import that has ended can be undone.")
        rollups.lock(cursor)
        removed = _take_out(cursor, chosen)
        ReportPeriod.objects.filter(made_by=chosen).delete()
        before = _said(chosen)
        chosen.state, chosen.undone_at, chosen.undone_by = ImportState.UNDONE, timezone.now(), actor
        chosen.save(update_fields=["state", "undone_at", "undone_by"])
        audit.record(
            actor, "undo import", subject_kind="import", subject=str(chosen), before=before,
            after={"calls removed": removed},
        )  # fmt: skip
    return removed


@transaction.atomic
def drop_draft(import_id: int) -> None:
    """Forget a file that was never imported. Raises NotFound, Conflict when it was."""
    chosen = _locked(import_id)
    if chosen.state != ImportState.DRAFT:
        raise Conflict("This import was started: undo it instead.")
    uploaded_file(chosen).unlink(missing_ok=True)
    chosen.delete()


def resume() -> None:
    """Carry out what waits or was interrupted, and forget drafts that nobody came back to."""
    moving = (ImportState.WAITING, ImportState.RUNNING)
    for chosen in DataImport.objects.filter(state__in=moving).order_by("pk"):
        if chosen.is_uploaded:
            carry_out(chosen.pk)
        else:
            _end_if_abandoned(chosen)
    old = timezone.now() - _DRAFTS_KEPT
    for chosen in DataImport.objects.filter(state=ImportState.DRAFT, created_at__lt=old):
        drop_draft(chosen.pk)


def uploaded_file(chosen: DataImport) -> Path:
    """Where the file of an import lies until it is done."""
    return Path(settings.IMPORTS_DIR) / f"{chosen.pk}.upload"


def options_of(layout: Layout, source: str | None) -> dict[str, Any]:
    """How a file is to be read, as an import remembers it."""
    return {
        "columns": dict(layout.columns),
        "constants": dict(layout.constants),
        "assume_utc": layout.assume_utc,
        "source": source or "",
    }


def layout_of(options: dict[str, Any]) -> Layout:
    """The layout that an import remembers. Raises InvalidInput for a field that is none."""
    return Layout(options.get("columns", {}), options.get("constants", {}), bool(options.get("assume_utc")))


def _take_out(cursor: Any, chosen: DataImport) -> int:
    # Any: Django's cursor wrapper has no public type.
    if not chosen.accepted:
        return 0
    batches = IngestBatch.objects.filter(import_id=chosen.pk)
    sums = batches.aggregate(accepted=Sum("accepted"), first=Min("first_at"), last=Max("last_at"))
    _refuse_if_dropped(cursor, chosen)
    bounds = {"import": chosen.pk, "first": sums["first"], "last": sums["last"]}
    cursor.execute(_DAYS, {**bounds, "zone": settings.REPORTING_TIME_ZONE.key})
    days: list[date] = [day for (day,) in cursor.fetchall()]
    cursor.execute(_REMOVE.format(table="call_unit"), bounds)
    cursor.execute(_REMOVE.format(table="call_event"), bounds)
    removed = int(cursor.rowcount)
    if removed != sums["accepted"]:
        raise _dropped(chosen)
    batches.delete()
    for day in days:
        rollups.rebuild_day(day)
    return removed


_OF_IMPORT = """occurred_at >= %(first)s AND occurred_at <= %(last)s
    AND batch_id IN (SELECT id FROM ingest_batch WHERE import_id = %(import)s AND accepted > 0)"""
_DAYS = f"""SELECT DISTINCT (occurred_at AT TIME ZONE %(zone)s)::date AS day FROM call_event
    WHERE {_OF_IMPORT} ORDER BY day"""
_REMOVE = f"DELETE FROM {{table}} WHERE {_OF_IMPORT}"


def _refuse_if_dropped(cursor: Any, chosen: DataImport) -> None:
    """Batches are forgotten with the days of their calls, so the import's own bounds are asked."""
    for bound in (chosen.first_at, chosen.last_at):
        if bound is not None:
            cursor.execute(
                "SELECT to_regclass('call_event_' || to_char(%s AT TIME ZONE 'UTC', 'YYYYMMDD'))", [bound]
            )
            if cursor.fetchone()[0] is None:
                raise _dropped(chosen)


def _dropped(chosen: DataImport) -> rollups.RawCallsDropped:
    first = local_day(chosen.first_at or chosen.created_at, settings.REPORTING_TIME_ZONE)
    return rollups.RawCallsDropped(
        f"Single calls of this import, from {first} on, were dropped by retention: its cost can no longer be"
        " taken out of the sums."
    )


def _locked(import_id: int) -> DataImport:
    chosen = DataImport.objects.select_for_update().filter(pk=import_id).first()
    if chosen is None:
        raise NotFound("There is no such import.")
    return chosen


@contextmanager
def _held(import_id: int) -> Iterator[bool]:
    """Hold the import for this session; whether nobody else did."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK_CLASS, import_id])
        is_mine = bool(cursor.fetchone()[0])
    try:
        yield is_mine
    finally:
        # Where the connection broke, the lock went with it.
        if is_mine and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK_CLASS, import_id])


def _end_if_abandoned(chosen: DataImport) -> None:
    """A command that was killed left its import running; its file is not ours to read again."""
    with _held(chosen.pk) as is_mine:
        if is_mine and DataImport.objects.get(pk=chosen.pk).is_moving:
            _end(chosen, ImportState.FAILED, problem="The command was interrupted: run it again.")


def _note(chosen: DataImport, summary: Summary, position: int) -> None:
    """How far it is. What was accepted in an earlier run of the same import is not a duplicate."""
    sums = IngestBatch.objects.filter(import_id=chosen.pk, accepted__gt=0).aggregate(
        accepted=Sum("accepted"), first=Min("first_at"), last=Max("last_at")
    )
    accepted = sums["accepted"] or 0
    DataImport.objects.filter(pk=chosen.pk).update(
        position=position,
        records=summary.records,
        accepted=accepted,
        duplicates=max(summary.duplicates - (accepted - summary.accepted), 0),
        conflicts=summary.conflicts,
        refused=summary.quarantined,
        first_at=sums["first"],
        last_at=sums["last"],
    )


def _end(chosen: DataImport, state: ImportState, *, problem: str = "") -> None:
    changed: dict[str, Any] = {"state": state, "finished_at": timezone.now(), "problem": problem}
    if state == ImportState.DONE:
        changed["position"] = F("file_bytes")
    DataImport.objects.filter(pk=chosen.pk).update(**changed)
    logger.info("import ended", extra={"import_id": chosen.pk, "state": str(state)})


def _said(chosen: DataImport) -> dict[str, Any]:
    return {
        "file": chosen.file_name,
        "format": chosen.file_format,
        "options": chosen.options,
        "accepted": chosen.accepted,
        "made by": chosen.made_by,
    }
