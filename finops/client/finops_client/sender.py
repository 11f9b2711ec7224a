"""The thread that sends: takes batches, tries them until the server has answered for them, keeps the rest."""

from __future__ import annotations

import atexit
import logging
import os
import random
import sys
import threading
import weakref
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import TypeVar

from finops_client import answers
from finops_client.answers import Tally, Verdict
from finops_client.records import Batch, Drop, Lane, Record
from finops_client.settings import Settings
from finops_client.spool import Spool
from finops_client.stats import Counts, Stats
from finops_client.transport import Answer, Transport, Unreachable
from finops_client.voice import Voice, log
from finops_client.waiting import MOST_PENDING, Waiting

# However long a server asks to be left alone.
LONGEST_WAIT = 900.0
# The spool is looked at again for what other processes left.
SPOOL_SECONDS = 60.0
# A batch that fails so often while others pass is cut up to find the record at fault.
SUSPECT_ATTEMPTS = 3
Told = TypeVar("Told")


class Sender:
    """Takes records from any thread; everything about the network happens in a thread of its own."""

    def __init__(self, transport: Transport, settings: Settings) -> None:
        self._transport, self._settings = transport, settings
        self._spool = None if settings.spool_dir is None else Spool(settings.spool_dir, settings.spool_bytes)
        self._voice = Voice()
        self._closed = False
        self._reset()
        _senders.add(self)
        if self._spool is not None and self._spool.files():
            self._start()

    def _reset(self) -> None:
        """As new: nothing recorded, nobody sending."""
        self._lock = threading.Condition()
        self._waiting, self._counts = Waiting(self._settings), Counts()
        self._number = self._hurry_to = self._failures = self._delivered_batches = 0
        self._retry_at = self._asked_to_wait_until = self._spool_at = 0.0
        self._deadline = inf
        self._stopped = False
        self._last_file = ""
        self._from_disk: Batch | None = None
        self._thread: threading.Thread | None = None

    def forget_parent(self) -> None:
        """In a forked child: what waits is the parent's to send, and so is its connection."""
        if self._from_disk is not None and self._from_disk.lock is not None:
            os.close(self._from_disk.lock)
        self._transport.forget()
        self._reset()

    def put(self, lane: Lane, name: str, body: bytes) -> None:
        """Take a record in, or drop and count it; returns at once."""
        with self._lock:
            self._counts.of["recorded"] += 1
            refusal = "closed" if self._closed else self._waiting.refusal(body)
            if refusal is None:
                self._number += 1
                wakes = self._waiting.put(Record(lane, name, body, self._number, monotonic()))
                self._start()
                if wakes:
                    self._lock.notify_all()
        if refusal is not None:
            self.give_up(refusal, (name,))

    def give_up(self, reason: str, names: tuple[str, ...]) -> None:
        """Count, log and report records that are lost."""
        with self._lock:
            self._counts.dropped[reason] += len(names)
        self._voice.say(logging.ERROR, f"drop {reason}", "%d records dropped: %s", len(names), reason)
        self._tell(self._settings.on_drop, Drop(reason, names))

    def stats(self) -> Stats:
        """The counts as they are now."""
        with self._lock:
            return self._counts.snapshot(self._waiting.records)

    def flush(self, timeout: float) -> bool:
        """Send what was recorded before this call; whether that is done, or on disk, in this time."""
        with self._lock:
            upto = self._hurry_to = max(self._number, self._hurry_to)
            self._retry_at = min(self._retry_at, self._asked_to_wait_until)
            self._lock.notify_all()
        return self._until(lambda: self._waiting.first_number() > upto, monotonic() + timeout)

    def close(self, timeout: float) -> bool:
        """Send what is left; keep on disk or drop what cannot be sent in time. Whether nothing was lost."""
        with self._lock:
            if self._stopped:
                return True
            self._closed = True
            self._deadline = monotonic() + timeout
        atexit.unregister(self._at_exit)
        self.flush(timeout)
        with self._lock:
            self._stopped = True
            left = list(self._waiting.empty())
            self._lock.notify_all()
        kept = [self._kept(batch) for batch in left]
        for batch, safe in zip(left, kept, strict=True):
            if not safe:
                self.give_up("undelivered", batch.ids)
        if self._thread is not None:
            self._thread.join(0.2)
        if self._thread is None or not self._thread.is_alive():
            self._transport.close()
        return all(kept)

    # The thread, and whoever does its work when there is none.

    def _start(self) -> None:
        if self._stopped or (self._thread is not None and self._thread.is_alive()):
            return
        first, self._thread = (
            self._thread is None,
            threading.Thread(target=self._run, name="finops-client", daemon=True),
        )
        if first:
            atexit.register(self._at_exit)
            processes = sys.modules.get("multiprocessing.process")
            if processes is not None and processes.parent_process() is not None:
                # Children of multiprocessing end without running what atexit knows.
                from multiprocessing.util import Finalize  # noqa: PLC0415

                Finalize(None, self._at_exit, exitpriority=10)
        try:
            self._thread.start()
        except RuntimeError:
            # The interpreter is ending; what is left is sent by ``close``.
            self._thread = None

    def _at_exit(self) -> None:
        self.close(self._settings.exit_timeout)

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._stopped and (idle := self._idle_seconds()) > 0:
                    self._lock.wait(idle)
                if self._stopped:
                    return
            self._safe_turn()

    def _until(self, done: Callable[[], bool], deadline: float) -> bool:
        """Wait for the thread to do it, or do its work where none can run."""
        while True:
            with self._lock:
                alive = self._thread is not None and self._thread.is_alive()
                left = deadline - monotonic()
                if done() or left <= 0:
                    return done()
                pause = min(left, 0.5 if alive else self._idle_seconds())
                if pause > 0:
                    self._lock.wait(pause)
                    continue
            if not alive:
                self._safe_turn()

    def _idle_seconds(self) -> float:
        """How long there is nothing to do; the lock is held."""
        due = self._waiting.due_at(self._hurry_to)
        if self._spool is None:
            due = max(-inf if self._waiting.pending else due, self._retry_at)
        else:
            # Without an answer from the server, what is due goes to disk.
            due = min(due, max(-inf if self._waiting.pending else self._spool_at, self._retry_at))
        return min(due - monotonic(), SPOOL_SECONDS)

    def _safe_turn(self) -> None:
        try:
            self._turn()
        except Exception:  # noqa: BLE001 (the thread must outlive whatever is wrong with one batch)
            log.exception("Sending failed unexpectedly")
            self._back_off(None)

    def _turn(self) -> None:
        """One attempt to send one batch; or, while the server is not to be asked, to disk with it."""
        with self._lock:
            now = monotonic()
            down = now < self._retry_at
            fresh = None
            if len(self._waiting.pending) < MOST_PENDING or down:
                fresh = self._waiting.take(now, self._hurry_to)
            batch = fresh if down else next(iter(self._waiting.pending), None)
        if down:
            if batch is not None and not self._keep(batch):
                # No room on disk: memory is what is left.
                with self._lock:
                    self._lock.wait(0.1)
            return
        if batch is None and self._spool is not None and now >= self._spool_at:
            batch = self._spool.take(self._last_file)
            self._spool_at = now + SPOOL_SECONDS if batch is None else 0.0
            self._from_disk = batch
        if batch is not None:
            self._attempt(batch)

    def _attempt(self, batch: Batch) -> None:
        batch.attempts += 1
        left = self._deadline - monotonic()
        try:
            answer = self._transport.post(
                batch.lane.path, batch.body(), max(0.1, min(self._settings.timeout, left))
            )
        except Unreachable as error:
            self._count_request(failed=True)
            self._voice.say(logging.WARNING, "unreachable", "Server not reached, will retry: %s", error)
            self._later(batch)
            return
        verdict = answers.judge(batch, answer)
        self._count_request(failed=verdict is not Verdict.DELIVERED)
        self._act(verdict, batch, answer)

    def _act(self, verdict: Verdict, batch: Batch, answer: Answer) -> None:
        if verdict is Verdict.DELIVERED:
            self._delivered(batch, answer)
        elif verdict is Verdict.LATER:
            said = answers.problem(answer)
            self._voice.say(logging.WARNING, f"status {answer.status}", "Server busy, will retry: %s", said)
            if answer.status == 500 and self._is_suspect(batch):
                self._back_off(answer.retry_after)
                self._cut(batch, "refused")
            else:
                self._later(batch, asked=answer.retry_after)
        elif verdict is Verdict.MEND:
            self._voice.say(
                logging.ERROR,
                f"status {answer.status}",
                "Nothing is being delivered, check the key and the address; will retry: %s",
                answers.problem(answer),
            )
            self._later(batch, asked=answer.retry_after, at_least=self._settings.longest_backoff)
        elif verdict is Verdict.SMALLER:
            self._cut(batch, "too_large")
        elif verdict is Verdict.PLAIN and self._transport.stop_compressing():
            self._voice.say(logging.WARNING, "plain", "The server does not take compressed bodies")
        else:
            reason = "unsupported" if verdict is Verdict.UNSUPPORTED else "refused"
            self._voice.say(logging.ERROR, reason, "Given up: the server says %s", answers.problem(answer))
            self.give_up(reason, batch.ids)
            self._settle(batch)

    # What becomes of a batch.

    def _delivered(self, batch: Batch, answer: Answer) -> None:
        told = answers.tally(batch, answer)
        with self._lock:
            self._failures, self._retry_at, self._asked_to_wait_until = 0, 0.0, 0.0
            self._delivered_batches += 1
            # ``close`` may have given it up meanwhile; then it is counted already.
            if batch.file is not None or self._waiting.holds(batch):
                self._counts.of["delivered"] += len(batch.records)
                self._counts.of["accepted"] += told.accepted
                self._counts.of["duplicates"] += told.duplicates
                self._counts.of["conflicts"] += told.conflicts
                self._counts.of["rejected"] += len(told.rejections)
        self._report(told)
        self._settle(batch)

    def _report(self, told: Tally) -> None:
        """Say what the server did not take as it was meant."""
        for one in told.rejections:
            kind = f"rejected {one.field} {one.code}"
            self._voice.say(logging.ERROR, kind, "Rejected: %s %s %s", one.field, one.code, one.message)
            self._tell(self._settings.on_rejected, one)
        if told.conflicts:
            self._voice.say(logging.ERROR, "conflict", "%d ids were used for other content", told.conflicts)
        if told.unknown_fields:
            names = ", ".join(told.unknown_fields)
            self._voice.say(logging.WARNING, f"unknown {names}", "The server ignores these fields: %s", names)
        if told.content_dropped:
            self._voice.say(logging.WARNING, "content", "Prompts and completions were sent; none was kept")

    def _back_off(self, asked: float | None, at_least: float = 0.0) -> None:
        """Wait longer than last time, or as long as the server asked."""
        with self._lock:
            self._failures += 1
            now, asked = monotonic(), min(asked or 0.0, LONGEST_WAIT)
            self._retry_at = now + max(self._backoff(), asked, at_least)
            self._asked_to_wait_until = now + asked

    def _later(self, batch: Batch, *, asked: float | None = None, at_least: float = 0.0) -> None:
        """The same again after a while, another batch first if there is one."""
        self._back_off(asked, at_least)
        with self._lock:
            if batch.delivered_before < 0:
                batch.delivered_before = self._delivered_batches
            if self._waiting.pending and self._waiting.pending[0] is batch:
                self._waiting.pending.rotate(-1)
        if batch.file is not None and self._spool is not None:
            self._last_file, self._from_disk = batch.file.name, None
            self._spool.release(batch)
        else:
            self._keep(batch)

    def _is_suspect(self, batch: Batch) -> bool:
        others_pass = 0 <= batch.delivered_before < self._delivered_batches
        return others_pass and batch.attempts >= SUSPECT_ATTEMPTS

    def _cut(self, batch: Batch, reason: str) -> None:
        """Go on with halves; a single record at fault is given up."""
        if len(batch.records) == 1:
            self.give_up(reason, batch.ids)
            self._settle(batch)
            return
        parts = batch.halves()
        if batch.file is not None and self._spool is not None:
            if all(self._kept(part) for part in parts):
                self._settle(batch)
            else:
                self._later(batch)
            return
        with self._lock:
            self._waiting.replace(batch, parts)

    def _keep(self, batch: Batch) -> bool:
        """On disk with it, where there is a spool; whether it is safe there."""
        if not self._kept(batch):
            return False
        self._settle(batch)
        return True

    def _kept(self, batch: Batch) -> bool:
        if self._spool is None:
            return False
        try:
            self._spool.keep(batch)
        except OSError as error:
            self._voice.say(logging.ERROR, "spool", "The spool cannot be written: %s", error)
            return False
        self._spool_at = 0.0
        with self._lock:
            self._counts.of["spooled"] += len(batch.records)
        return True

    def _settle(self, batch: Batch) -> None:
        """Done with it: last of all, so that after a ``flush`` all is counted and reported."""
        if batch.file is not None and self._spool is not None:
            self._spool.done(batch)
            self._from_disk = None
        with self._lock:
            self._waiting.settle(batch)
            self._lock.notify_all()

    def _backoff(self) -> float:
        doubled = self._settings.first_backoff * 2.0 ** min(self._failures - 1, 20)
        spread = random.uniform(0.5, 1.0)  # noqa: S311 (so that many clients do not come back at once)
        return min(doubled, self._settings.longest_backoff) * spread

    def _count_request(self, *, failed: bool) -> None:
        with self._lock:
            self._counts.of["requests"] += 1
            self._counts.of["failed_requests"] += failed

    def _tell(self, whom: Callable[[Told], object] | None, what: Told) -> None:
        if whom is None:
            return
        try:
            whom(what)
        except Exception:  # noqa: BLE001 (a callback of the service is no reason to stop sending)
            log.exception("A callback failed")


# Not the clients: a sender outlives a client that nobody holds any more, until it has sent everything.
_senders: weakref.WeakSet[Sender] = weakref.WeakSet()


def _after_fork() -> None:
    for sender in list(_senders):
        sender.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
