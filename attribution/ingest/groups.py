"""Group commit: small batches that arrive while another is being written share one transaction.

There is no timer. Whoever finds nobody writing writes at once, for all who wait; so a lone request
waits for nothing, and under load a commit is shared by as many as arrived during the last one.
"""

from __future__ import annotations

import threading

from attribution.ingest import writer
from attribution.ingest.outcome import Outcome
from attribution.ingest.post import Post
from finops.core.errors import Unavailable

# A larger batch gains nothing from company, and would keep the others waiting.
LARGEST_SHARED = 200
_LARGEST_GROUP = 2000


class _Waiting:
    """One request's post, and what became of it."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self.outcome: Outcome | None = None
        self.error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.outcome is not None or self.error is not None


_line = threading.Lock()
_pen = threading.Lock()
_waiting: list[_Waiting] = []


def write_one(post: Post) -> Outcome:
    """Write one post, in company if it is small. Raises Unavailable when nothing could be made durable."""
    return write(post) if len(post.events) <= LARGEST_SHARED else writer.write([post])[0]


def write(post: Post) -> Outcome:
    """Write one post, alone or with others. Raises what its own writing raised, never another's."""
    mine = _Waiting(post)
    with _line:
        _waiting.append(mine)
    with _pen:
        while not mine.is_done:
            _write_group(_next_group())
    if mine.error is not None:
        raise mine.error
    assert mine.outcome is not None
    return mine.outcome


def _next_group() -> list[_Waiting]:
    """Those who came first, as many as make one good batch."""
    with _line:
        taken, events = 0, 0
        for waiting in _waiting:
            events += len(waiting.post.events)
            if taken and events > _LARGEST_GROUP:
                break
            taken += 1
        group = _waiting[:taken]
        del _waiting[:taken]
    return group


def _write_group(group: list[_Waiting]) -> None:
    try:
        outcomes = writer.write([waiting.post for waiting in group])
    except Exception as error:  # noqa: BLE001 (it goes to whom it belongs)
        if len(group) > 1 and not isinstance(error, Unavailable):
            # One of them is to blame: each by itself, so that it fails alone.
            for waiting in group:
                _write_group([waiting])
            return
        for waiting in group:
            waiting.error = error
        return
    except BaseException:
        # This process is told to end: the others find their posts in the line again.
        with _line:
            _waiting[:0] = group
        raise
    for waiting, outcome in zip(group, outcomes, strict=True):
        waiting.outcome = outcome
