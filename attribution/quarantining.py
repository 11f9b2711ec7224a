"""The quarantine as people work through it: look, put right and replay, or dismiss with a reason.

A record is never deleted. Replaying sends the event through the same door as every other; in the books
its identity makes sure that it is there once, so replaying again does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from attribution.ingest import report_periods, writer
from attribution.ingest.intake import Sender, admit, kept_team
from attribution.ingest.native import from_records
from attribution.ingest.schema import Event as SentEvent
from attribution.models import Quarantined, Resolution
from finops.accounts import audit
from finops.accounts.permissions import Principal
from finops.core.errors import Conflict, FieldProblem, FinopsError, InvalidInput, NotFound

MOST_AT_ONCE = 500
LONGEST_NOTE = 500
Event = Mapping[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records to list; '' and None ask for nothing in particular. ``days`` is how old at least."""

    reason: str = ""
    source: str = ""
    code: str = ""
    days: int | None = None
    is_resolved: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What became of several records, by their ids."""

    resolved: list[int] = field(default_factory=list)
    failed: dict[int, FinopsError] = field(default_factory=dict)


def visible(principal: Principal) -> QuerySet[Quarantined]:
    """What a caller may see: all, or what names one of their teams."""
    records = Quarantined.objects.all()
    if principal.visible_teams is not None:
        records = records.filter(payload__team__in=sorted(principal.visible_teams))
    return records


def wanted(records: QuerySet[Quarantined], asked: Wanted) -> QuerySet[Quarantined]:
    """Those of them that are asked for."""
    records = records.filter(resolved_at__isnull=not asked.is_resolved)
    for name in ("reason", "source", "code"):
        if value := getattr(asked, name):
            records = records.filter(**{name: value})
    if asked.days is not None:
        records = records.filter(received_at__lte=timezone.now() - timedelta(days=asked.days))
    return records


def find(number: int, principal: Principal) -> Quarantined:
    """One record that the caller may see. Raises NotFound."""
    found = visible(principal).filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no record {number} in the quarantine.")
    return found


def replay(record: Quarantined, principal: Principal, event: Event | None = None) -> str:
    """Send the record, or what it was edited to, into the books: "accepted" or "duplicate".

    In the name of the key that it arrived with, whoever replays it. Not in a transaction: the event is
    durable before the record is closed. Raises InvalidInput with the fields that are still wrong, and
    Conflict where it is resolved already or the id is booked with other content; then it stays open.
    """
    _refuse_if_resolved(record)
    said = dict(record.payload if event is None else event)
    said.setdefault("source", record.source)
    arrivals = from_records([said])
    for one in arrivals.events:
        _refuse_foreign_team(one, record, principal)
    if arrivals.content_dropped:
        message = "Prompt and completion text is never stored: leave it out."
        raise InvalidInput.field("event", "content", message)
    post = admit(arrivals, Sender(record.source, record.api_key, record.key_team))
    report_periods.claim(post)
    if arrivals.rejected:
        problem = arrivals.rejected[0].problem
        raise InvalidInput(problem.message, [problem])
    outcome = writer.write([post.identify()])[0]
    if outcome.conflicts:
        message = "This id is booked with other content: dismiss the record, or give it another id."
        raise Conflict(message, [FieldProblem("event_id", "conflict", message)])
    became = "accepted" if outcome.accepted else "duplicate"
    _close(record, principal, Resolution.REPLAYED, after={"event_id": said.get("event_id"), "became": became})
    return became


def dismiss(record: Quarantined, principal: Principal, note: str) -> None:
    """Leave the record outside the books for good. Raises InvalidInput without a reason, or Conflict."""
    _refuse_if_resolved(record)
    note = note.strip()
    if not note or len(note) > LONGEST_NOTE:
        raise InvalidInput.field("note", "required", f"Say why, in at most {LONGEST_NOTE} characters.")
    _close(record, principal, Resolution.DISMISSED, note=note)


def replay_all(numbers: Sequence[int], principal: Principal) -> Done:
    """Replay records as they are; each by itself, so that one that fails costs the others nothing."""
    done = Done()
    for record in _chosen(numbers, principal):
        try:
            replay(record, principal)
            done.resolved.append(record.pk)
        except FinopsError as error:
            done.failed[record.pk] = error
    return done


def dismiss_all(numbers: Sequence[int], principal: Principal, note: str) -> Done:
    """Dismiss records for the same reason. Raises InvalidInput without one."""
    done = Done()
    for record in _chosen(numbers, principal):
        try:
            dismiss(record, principal, note)
            done.resolved.append(record.pk)
        except Conflict as error:
            done.failed[record.pk] = error
    return done


def _chosen(numbers: Sequence[int], principal: Principal) -> list[Quarantined]:
    if not numbers or len(numbers) > MOST_AT_ONCE:
        raise InvalidInput.field("ids", "invalid", f"Choose 1 to {MOST_AT_ONCE} records.")
    return list(visible(principal).filter(pk__in=numbers).order_by("pk"))


def _refuse_if_resolved(record: Quarantined) -> None:
    if record.resolved_at is not None:
        raise Conflict(f"{record.resolved_by or 'Somebody'} has resolved this record already.")


def _refuse_foreign_team(said: SentEvent, record: Quarantined, principal: Principal) -> None:
    """Whoever sees some teams only books to those, and from the source that the record is of."""
    if principal.visible_teams is None:
        return
    if said.source != record.source:
        raise InvalidInput.field("source", "source_not_allowed", "The source of a record stays.")
    if not principal.sees(kept_team(said) or None):
        raise InvalidInput.field("team", "team_not_allowed", "You may book to your own teams only.")


@transaction.atomic
def _close(
    record: Quarantined,
    principal: Principal,
    resolution: Resolution,
    *,
    note: str = "",
    after: dict[str, Any] | None = None,
) -> None:
    closed = Quarantined.objects.filter(pk=record.pk, resolved_at=None).update(
        resolved_at=timezone.now(), resolution=resolution, resolved_by=principal.label, note=note
    )
    if closed:
        audit.record(
            principal.label,
            f"quarantine.{resolution}",
            subject_kind="quarantine",
            subject=str(record.pk),
            before={"reason": record.reason, "source": record.source, "event_id": record.event_id},
            after={**(after or {}), **({"note": note} if note else {})},
        )
