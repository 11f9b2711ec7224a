"""Events while the database is away: checked as ever, kept in the spool, booked when it is back.

What is kept are the events that passed every rule, without prompts, not the bytes of the request. What
only the books know (duplicates and conflicts) is found out when they are replayed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from attribution.ingest import groups, writer
from attribution.ingest.intake import Sender, admit, read_changes
from attribution.ingest.native import Arrivals
from attribution.ingest.outcome import Outcome
from attribution.ingest.post import Post
from attribution.ingest.schema import Event
from attribution.ingest.spool import spool
from attribution.ingest.spool_files import Record
from finops.core.errors import Unavailable

KIND = "events"
_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_decode = msgspec.msgpack.Decoder(list[Event]).decode


def take_in_or_spool(arrivals: Arrivals, sender: Sender) -> Outcome:
    """Like ``intake.take_in``, but durable in the spool while the database is away.

    Raises Unavailable (503) when that cannot be written either: then nothing is kept.
    """
    post = admit(arrivals, sender).identify()
    try:
        return groups.write_one(post)
    except Unavailable:
        if post.events:
            spool().append(KIND, sender, _encode(post.events), len(post.events))
        return Outcome(post.arrivals, 0, 0, [], spooled=len(post.events))


def replay(records: Sequence[Record]) -> None:
    """Book them. The rules have judged them when they were acknowledged, and do not again."""
    read_changes()
    writer.write([_post(record) for record in records])


def _post(record: Record) -> Post:
    events = _decode(record.payload)
    arrivals = Arrivals(events, list(range(len(events))))
    sender = record.sender
    known = writer.known(sender.api_key, sender.team)
    return Post.of(arrivals, sender.api_key, sender.team, known).identify()
