"""The events of one request on their way, with what is asked of them more than once, read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np

from attribution.ingest.identity import content_hashes, identities
from attribution.ingest.native import Arrivals
from attribution.ingest.schema import Event
from attribution.ingest.times import microseconds_of
from attribution.ingest.usage import token_columns

NAMES = (
    "source",
    "team",
    "feature",
    "tier",
    "environment",
    "workflow",
    "step",
    "prompt_version",
    "release",
    "operation",
)
FACTS = ("provider", "model", "host", "region", "service_tier", "processing", "speed", "response_cache")
Names = tuple[str | None, ...]  # in the order of NAMES, as an event spells them
RawFacts = tuple[str | None, ...]  # in the order of FACTS

names_of = attrgetter(*NAMES)
facts_of = attrgetter(*FACTS)


@dataclass(slots=True)
class Post:
    """Everything is in the order of ``arrivals.events``, whose usage is read already."""

    api_key: str
    key_team: str
    arrivals: Arrivals
    time_us: np.ndarray
    tokens: np.ndarray
    names: list[Names]
    facts: list[RawFacts]
    # Known once the events are ``identified``.
    identity: np.ndarray = field(default_factory=lambda: identities([]))
    content: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @classmethod
    def of(cls, arrivals: Arrivals, api_key: str, key_team: str) -> Post:
        """What the events of a request say, sound or not."""
        events = arrivals.events
        return cls(
            api_key,
            key_team,
            arrivals,
            time_us=microseconds_of(events),
            tokens=token_columns(events),
            names=list(map(names_of, events)),
            facts=list(map(facts_of, events)),
        )

    @property
    def events(self) -> list[Event]:
        return self.arrivals.events

    def keep(self, sound: list[bool]) -> None:
        """Leave only the events at the places marked so."""
        self.arrivals.keep(sound)
        self.time_us, self.tokens = self.time_us[sound], self.tokens[sound]
        self.names = [names for names, kept in zip(self.names, sound, strict=True) if kept]
        self.facts = [facts for facts, kept in zip(self.facts, sound, strict=True) if kept]

    def identify(self) -> Post:
        """Ready to be written, any number of times. Takes the times out of the events, now sound."""
        self.identity = identities(self.events)
        self.content = content_hashes(self.events)
        return self
