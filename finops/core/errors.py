"""Errors a person can act on: a stable code, a sentence, and the fields it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field, as RFC 9457 answers carry it in ``errors``."""

    field: str
    code: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class FinopsError(Exception):
    """Base of the product's own errors; ``status`` and ``headers`` are those of its HTTP answer."""

    code = "error"
    status = 400
    headers: ClassVar[Mapping[str, str]] = {}
    title = "The request could not be carried out"

    def __init__(self, detail: str, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problems = tuple(problems)


class InvalidInput(FinopsError):
    """One or more fields break a rule; all of them are listed."""

    code = "invalid"
    title = "Invalid input"

    @classmethod
    def field(cls, field: str, code: str, message: str) -> InvalidInput:
        return cls(message, [FieldProblem(field, code, message)])


class NotAllowed(FinopsError):
    """The caller is known but may not do this."""

    code = "not_allowed"
    status = 403
    title = "Not allowed"


class NotFound(FinopsError):
    """Absent, or not for this caller's eyes."""

    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(FinopsError):
    """The state changed meanwhile, or the same key was used for something else."""

    code = "conflict"
    status = 409
    title = "Conflict"


class TooLarge(FinopsError):
    """A bound on size was reached; nothing was read past it."""

    code = "too_large"
    status = 413
    title = "Too large"


class Unavailable(FinopsError):
    """Nothing could be made durable; try again."""

    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}
