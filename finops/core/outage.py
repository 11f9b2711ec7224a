"""Whether the database is away, known to a whole process: nobody waits for what somebody just waited for.

``watched`` is put around work that must not hang with the server. It refuses at once while the database
is known to be away, and cuts the connection when the work takes too long: a server that was stopped, or
a network that swallows packets, never answers, and no timeout of the server's own would fire.

Who finds the database gone says so with ``note_away``. A thread then asks once a second until it answers
again; no request is ever used to find out.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

LOOK_AGAIN_SECONDS = 1.0
PROBE_SECONDS = 3
_CUT_EVERY_SECONDS = 0.25
_log = logging.getLogger(__name__)


class _State:
    """What this process knows. A fork starts with a fresh one: threads are not inherited."""

    def __init__(self) -> None:
        self.is_away = threading.Event()
        self.lock = threading.Lock()
        # By thread: since when, until when, and a connection or Django's wrapper of one (Any).
        self.watching: dict[int, tuple[float, float, Any]] = {}
        self.watchman: threading.Thread | None = None
        self.prober: threading.Thread | None = None


_state = _State()


def forget() -> None:
    """Know nothing any more, as a new process does."""
    global _state
    _state = _State()


os.register_at_fork(after_in_child=forget)


def is_away() -> bool:
    """Whether the database was away when this process last looked."""
    return _state.is_away.is_set()


def note_away(error: BaseException) -> None:
    """Believe it from now on, until the database answers again, if the error means that nobody answers.

    A server that answers with a refusal of its own (a deadlock, no room) is not away.
    """
    code = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
    if code is not None and not code.startswith(("08", "57P")):
        return
    state = _state
    with state.lock:
        if not state.is_away.is_set():
            _log.warning("The database is away: %s", error)
            state.is_away.set()
        if state.prober is None:
            state.prober = threading.Thread(target=_probe, args=[state], name="database-probe", daemon=True)
            state.prober.start()


@contextmanager
def watched(seconds: float) -> Iterator[None]:
    """Let the default connection of this thread work for so long.

    Raises OperationalError at once while the database is known to be away, and from within the work when
    its connection is cut. Making a connection is bounded by its own ``connect_timeout``.
    """
    if is_away():
        raise OperationalError("The database is away.")
    with _cut_after(seconds, connections[DEFAULT_DB_ALIAS]):
        yield


@contextmanager
def _cut_after(seconds: float, holder: Any) -> Iterator[None]:  # Any: see _State
    state, mine = _state, threading.get_ident()
    if state.watchman is None:
        _start_watchman(state)
    outer = state.watching.get(mine)
    now = time.monotonic()
    state.watching[mine] = now, now + seconds, holder
    try:
        yield
    finally:
        if outer is None:
            state.watching.pop(mine, None)
        else:
            state.watching[mine] = outer


def _start_watchman(state: _State) -> None:
    with state.lock:
        if state.watchman is None:
            state.watchman = threading.Thread(target=_cut_the_late, args=[state], daemon=True)
            state.watchman.start()


def _cut_the_late(state: _State) -> None:
    while True:
        time.sleep(_CUT_EVERY_SECONDS)
        now = time.monotonic()
        for thread, entry in list(state.watching.items()):
            since, until, holder = entry
            # Once somebody has found the database gone, the others need not wait for as long.
            late = min(until, since + PROBE_SECONDS) if state.is_away.is_set() else until
            if late < now and state.watching.get(thread) is entry:
                _cut(holder)


def _cut(holder: Any) -> None:  # Any: see _State
    """End the conversation under whoever waits in it: the kernel tells him that the other side is gone."""
    raw = getattr(holder, "connection", holder)
    with suppress(psycopg.Error, OSError, AttributeError):
        if raw is not None and not raw.closed:
            with socket.socket(fileno=os.dup(raw.pgconn.socket)) as line:
                line.shutdown(socket.SHUT_RDWR)
            _log.warning("The database did not answer in time: the connection was cut.")


def _probe(state: _State) -> None:
    while not answers():
        time.sleep(LOOK_AGAIN_SECONDS)
    with state.lock:
        state.is_away.clear()
        state.prober = None
    _log.warning("The database is back.")


def answers() -> bool:
    """Whether a server that takes writes accepts a new connection now. At most twice PROBE_SECONDS."""
    parameters = connections[DEFAULT_DB_ALIAS].get_connection_params()
    try:
        with (
            psycopg.connect(**{**parameters, "connect_timeout": PROBE_SECONDS}) as database,
            _cut_after(PROBE_SECONDS, database),
        ):
            row = database.execute("SELECT pg_is_in_recovery()").fetchone()
            return row == (False,)
    except psycopg.Error:
        return False
