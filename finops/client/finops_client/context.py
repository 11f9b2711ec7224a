"""Whose call is it: names that hold for everything recorded inside a ``with``, and tasks with an outcome.

They are kept in a context variable: asyncio tasks inherit them, threads start without any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from finops_client.fields import Names, Outcome

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

_names: ContextVar[Mapping[str, Any]] = ContextVar("finops_client_names")
_NONE: Mapping[str, Any] = {}


def current() -> Mapping[str, Any]:
    """The names that hold here."""
    return _names.get(_NONE)


def merged(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    """Inner names over outer ones; tags are merged pair by pair."""
    both = {**outer, **inner}
    if outer.get("tags") and inner.get("tags"):
        both["tags"] = {**outer["tags"], **inner["tags"]}
    return both


@contextmanager
def named(names: Mapping[str, Any]) -> Iterator[None]:
    """Let these names hold inside, on top of those that hold already."""
    token = _names.set(merged(current(), names))
    try:
        yield
    finally:
        # Left in another context than it was entered in, as generators of web frameworks are, there is
        # nothing to undo: the names were never set here.
        with suppress(ValueError):
            _names.reset(token)


class _Reports(Protocol):
    def outcome(
        self, task_id: str, outcome: Outcome, *, value_usd: Decimal | float | str | None = None
    ) -> str: ...


class Task:
    """A unit of work that succeeds or fails: what cost per task and success rate are counted in.

    Left without a word it has succeeded; left by an exception it has failed. What was said by ``succeed``,
    ``fail`` or ``escalate`` stays, also when an exception follows.
    """

    def __init__(self, client: _Reports, names: Mapping[str, Any], *, outcome: Outcome | None) -> None:
        self._client, self._names = client, names
        self._unless_said, self._said = outcome, False
        self._outcome: Outcome | None = None
        self._value: Decimal | float | str | None = None
        self._entered: AbstractContextManager[None] | None = None

    @property
    def id(self) -> str:
        """What every call of the task carries as ``task_id``."""
        return str(self._names["task_id"])

    def step(self, name: str, **names: Unpack[Names]) -> AbstractContextManager[None]:
        """Everything recorded inside belongs to this step of the task."""
        return named({**names, "task_id": self.id, "step": name})

    def succeed(self, value_usd: Decimal | float | str | None = None) -> None:
        """It did what it was for, and was worth that much where that is known."""
        self._say("success", value_usd)

    def fail(self) -> None:
        """It did not do what it was for."""
        self._say("failure", None)

    def escalate(self) -> None:
        """A person had to take over."""
        self._say("escalated", None)

    def _say(self, outcome: Outcome, value_usd: Decimal | float | str | None) -> None:
        self._outcome, self._value, self._said = outcome, value_usd, True

    def __enter__(self) -> Self:
        self._entered = named(self._names)
        self._entered.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._entered is not None:
            self._entered.__exit__(None, None, None)
        if not self._said and self._unless_said is not None:
            self._outcome = self._unless_said if kind is None else "failure"
        if self._outcome is not None:
            self._client.outcome(self.id, self._outcome, value_usd=self._value)
