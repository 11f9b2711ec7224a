"""The way of a batch, from decoded events to an answer: who sends, what is sound, what was kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from attribution import contracts
from attribution.ingest import groups, refusals, writer
from attribution.ingest.native import Arrivals
from attribution.ingest.outcome import Outcome
from attribution.ingest.post import NAMES, Known, Post, names_of
from attribution.ingest.rules import broken_rules
from attribution.ingest.schema import Event
from attribution.ingest.usage import is_settled, settle_usage
from finops.accounts.models import ApiKey
from finops.core.errors import FieldProblem


@dataclass(frozen=True, slots=True)
class Sender:
    """In whose name events come, and which names they may not use."""

    source: str  # of events that name none
    api_key: str = ""
    team: str = ""  # where the key is bound to one
    is_bound_to_source: bool = False

    @property
    def is_bound(self) -> bool:
        """Whether there is anything that it may not claim."""
        return self.is_bound_to_source or bool(self.team)

    @classmethod
    def of(cls, key: ApiKey) -> Sender:
        """The holder of a key. A key without a source sends under its own name."""
        return cls(key.source or key.name, key.name, key.team, bool(key.source))

    def refuses(self, event: Event) -> FieldProblem | None:
        """The problem of an event that claims another's source or team.

        What counts is the team that would be booked: a source's contract may know it by other spellings.
        """
        if self.is_bound_to_source and event.source != self.source:
            message = f'This key sends for the source "{self.source}" only.'
            return FieldProblem("source", "source_not_allowed", message)
        if self.team and event.team and kept_team(event) != self.team:
            message = f'This key sends for the team "{self.team}" only.'
            return FieldProblem("team", "team_not_allowed", message)
        return None


def kept_team(event: Event) -> str:
    """The team that an event would be booked to, as its source's contract reads what it says; '' for none."""
    return contracts.book.kept(names_of(event))[NAMES.index("team")]


def take_in(arrivals: Arrivals, sender: Sender) -> Outcome:
    """Write what is sound, durably; say of everything else why not.

    A small batch shares its transaction with others that arrive meanwhile. Raises Unavailable when
    nothing could be made durable.
    """
    return groups.write_one(admit(arrivals, sender).identify())


def read_changes() -> None:
    """Let contracts and allocation keys that were changed elsewhere hold in this process."""
    if contracts.book.is_changed():
        writer.dimensions.forget_names()


def admit(arrivals: Arrivals, sender: Sender, known: Known | None = None) -> Post:
    """Leave only what is sound, noting of everything else why not. Writes down what is refused only.

    ``known`` is what sound events had before, where this process does not write them itself.
    """
    for event in arrivals.events:
        event.source = event.source or sender.source
    read_changes()
    if sender.is_bound or not all(map(is_settled, arrivals.events)):
        problems = [sender.refuses(event) or settle_usage(event) for event in arrivals.events]
        if any(problems):
            arrivals.keep(_rejecting(arrivals, problems))
    if known is None:
        known = writer.known(sender.api_key, sender.team)
    post = Post.of(arrivals, sender.api_key, sender.team, known)
    problems = broken_rules(post, now_us=time.time_ns() // 1000)
    if contracts.book.contracts:
        problems = _held_to_contracts(post, problems)
    if any(problems):
        post.keep(_rejecting(arrivals, problems))
    if arrivals.rejected:
        refusals.keep(arrivals.rejected, sender.source, api_key=sender.api_key, key_team=sender.team)
    return post


def _held_to_contracts(post: Post, problems: list[FieldProblem | None]) -> list[FieldProblem | None]:
    """What a source's contract refuses as well. Names that were booked before need no second look."""
    return [
        problem or (None if known else contracts.book.broken(names, post.keys))
        for problem, known, names in zip(problems, post.known_sets, post.names, strict=True)
    ]


def _rejecting(arrivals: Arrivals, problems: list[FieldProblem | None]) -> list[bool]:
    """Note every event that has a problem; which have none."""
    for place, problem in enumerate(problems):
        if problem:
            arrivals.reject(place, problem)
    return [problem is None for problem in problems]
