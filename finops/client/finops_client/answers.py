"""What an answer means for the batch it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from finops_client.records import Batch, Lane, Rejection
from finops_client.transport import Answer


class Verdict(Enum):
    """What to do next."""

    DELIVERED = auto()
    SMALLER = auto()  # send less at once
    PLAIN = auto()  # send it uncompressed
    LATER = auto()  # the same again, soon
    MEND = auto()  # the same again, when somebody has mended key or address
    REFUSED = auto()  # never again
    UNSUPPORTED = auto()  # an older server does not know this kind of record


@dataclass
class Tally:
    """What the server did with the records of a batch."""

    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    unknown_fields: tuple[str, ...] = ()
    content_dropped: int = 0


def judge(batch: Batch, answer: Answer) -> Verdict:
    """What an answer asks for."""
    status = answer.status
    if 200 <= status < 300:
        if _is_ours(batch.lane, answer.body):
            return Verdict.DELIVERED
        # Nothing is what is left of an answer that was cut off within its head.
        return Verdict.MEND if answer.body else Verdict.LATER
    if status in (404, 405) and batch.lane is Lane.OUTCOMES:
        return Verdict.UNSUPPORTED
    if status in (408, 425, 429) or status >= 500:
        return Verdict.LATER
    if status < 400 or status in (401, 403, 404, 405, 407):
        return Verdict.MEND
    return {413: Verdict.SMALLER, 415: Verdict.PLAIN}.get(status, Verdict.REFUSED)


def tally(batch: Batch, answer: Answer) -> Tally:
    """The counts of an answer to a delivered batch."""
    content = _object(answer.body) or {}
    rejected = content.get("rejected")
    return Tally(
        accepted=_count(content.get("accepted")),
        duplicates=_count(content.get("duplicates")),
        conflicts=_count(content.get("conflicts")),
        rejections=[_rejection(batch, one) for one in rejected if isinstance(one, Mapping)]
        if isinstance(rejected, list)
        else [],
        unknown_fields=tuple(str(name) for name in content.get("unknown_fields") or ()),
        content_dropped=_count(content.get("content_dropped")),
    )


def problem(answer: Answer) -> str:
    """The server's own words, cut to a line of a log."""
    content = _object(answer.body) or {}
    said = content.get("detail") or content.get("title") or ""
    return f"{answer.status} {said}"[:300].rstrip()


def _is_ours(lane: Lane, body: bytes) -> bool:
    """A sign-in page of something in between is 200 as well; it must not count as delivered."""
    content = _object(body)
    return content is not None and (lane is Lane.OUTCOMES or "accepted" in content or "spooled" in content)


def _object(body: bytes) -> dict[str, Any] | None:  # Any: JSON
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _count(value: object) -> int:
    return len(value) if isinstance(value, list) else value if isinstance(value, int) else 0


def _rejection(batch: Batch, said: Mapping[str, Any]) -> Rejection:
    index = said.get("index")
    known = isinstance(index, int) and 0 <= index < len(batch.records)
    name = batch.records[index].id if known and isinstance(index, int) else str(said.get("event_id", ""))
    return Rejection(name, *(str(said.get(part, "")) for part in ("field", "code", "message")))
