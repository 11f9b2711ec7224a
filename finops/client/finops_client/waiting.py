"""What is in memory and not sent yet: bounded, and taken out in batches. Its owner holds a lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from math import inf

from finops_client.records import Batch, Lane, Record
from finops_client.settings import Settings

# So many batches take turns while one of them fails again and again.
MOST_PENDING = 4
# The server bounds each field; an event beyond this could only be refused.
MOST_RECORD_BYTES = 256 << 10


class Waiting:
    """Records in the order they came, a queue for each lane, and the batches being tried."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queues: dict[Lane, deque[Record]] = {lane: deque() for lane in Lane}
        self._queued_bytes: dict[Lane, int] = dict.fromkeys(Lane, 0)
        self._bytes = 0
        self.records = 0
        self.pending: deque[Batch] = deque()

    def refusal(self, body: bytes) -> str | None:
        """Why a record with this body cannot be taken in."""
        if len(body) > MOST_RECORD_BYTES:
            return "too_large"
        full = self.records >= self._settings.queue_size
        return "queue_full" if full or self._bytes + len(body) > self._settings.queue_bytes else None

    def put(self, record: Record) -> bool:
        """Take it in; whether that changes when there is something to do."""
        queue, settings = self._queues[record.lane], self._settings
        before = self._queued_bytes[record.lane]
        queue.append(record)
        self._queued_bytes[record.lane] = after = before + len(record.body)
        self._bytes += len(record.body)
        self.records += 1
        return len(queue) in (1, settings.batch_size) or before < settings.batch_bytes <= after

    def due_at(self, hurry_to: int) -> float:
        """When the next batch of the queues is to be sent; everything up to a number is due at once."""
        return min(self._lane_due_at(lane, hurry_to) for lane in Lane)

    def _lane_due_at(self, lane: Lane, hurry_to: int) -> float:
        queue, settings = self._queues[lane], self._settings
        if not queue:
            return inf
        full = len(queue) >= settings.batch_size or self._queued_bytes[lane] >= settings.batch_bytes
        return 0.0 if full or queue[0].number <= hurry_to else queue[0].at + settings.flush_interval

    def take(self, now: float, hurry_to: int) -> Batch | None:
        """The batch that is due longest; it counts as waiting until it is settled."""
        due = [lane for lane in Lane if self._queues[lane] and self._lane_due_at(lane, hurry_to) <= now]
        if not due:
            return None
        lane = min(due, key=lambda one: self._queues[one][0].number)
        queue, taken, size = self._queues[lane], list[Record](), 0
        while queue and len(taken) < self._settings.batch_size:
            size += len(queue[0].body)
            if taken and size > self._settings.batch_bytes:
                break
            taken.append(queue.popleft())
        self._queued_bytes[lane] -= sum(len(record.body) for record in taken)
        batch = Batch(lane, taken)
        self.pending.append(batch)
        return batch

    def holds(self, batch: Batch) -> bool:
        """Whether it is still waiting."""
        return batch in self.pending

    def settle(self, batch: Batch) -> None:
        """Forget a batch that is delivered, spooled or given up."""
        if batch in self.pending:
            self.pending.remove(batch)
            self.records -= len(batch.records)
            self._bytes -= sum(len(record.body) for record in batch.records)

    def replace(self, batch: Batch, parts: tuple[Batch, Batch]) -> None:
        """Go on with its parts, next."""
        if batch in self.pending:
            self.pending.remove(batch)
            self.pending.extendleft(reversed(parts))

    def first_number(self) -> float:
        """The number of the oldest record that waits."""
        queued = (queue[0].number for queue in self._queues.values() if queue)
        tried = (record.number for batch in self.pending for record in batch.records[:1])
        return min(chain(queued, tried), default=inf)

    def empty(self) -> Iterator[Batch]:
        """Take out everything, in batches."""
        while self.take(inf, 0) is not None:
            pass
        for batch in list(self.pending):
            self.settle(batch)
            yield batch
