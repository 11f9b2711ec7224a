"""The events of one request on their way, with what is asked of them more than once, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import compress
from operator import attrgetter

import numpy as np

from attribution.ingest.identity import identities
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
FACTS = (
    "provider",
    "model",
    "host",
    "region",
    "service_tier",
    "processing",
    "speed",
    "response_cache",
    "account",
)
# In the order of NAMES, then the tags of the allocation keys; as an event spells them.
Names = tuple[str | None, ...]
RawFacts = tuple[str | None, ...]  # in the order of FACTS
Facts = tuple[object, ...]  # as the price book reads them

# What became of names and facts that sound events had: with the number of what they say, see ``said``.
KnownSet = tuple[int, int]
KnownFacts = tuple[Facts, int]


@dataclass(frozen=True, slots=True)
class Known:
    """Combinations that sound events had before, as they spell them.

    ``keys`` are the allocation keys whose tags belong to the names.
    """

    sets: Mapping[Names, KnownSet] = field(default_factory=dict)
    facts: Mapping[RawFacts, KnownFacts] = field(default_factory=dict)
    keys: tuple[str, ...] = ()


NOTHING_KNOWN = Known()

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
    keys: tuple[str, ...]  # whose tags stand behind the other names
    names: list[Names]
    facts: list[RawFacts]
    known_sets: list[KnownSet | None]
    known_facts: list[KnownFacts | None]
    # Known once the events are ``identified``.
    identity: np.ndarray = field(default_factory=lambda: identities([]))
    # The import that it is part of. Such a post is written alone: a batch belongs to one import or none.
    import_id: int | None = None

    @classmethod
    def of(cls, arrivals: Arrivals, api_key: str, key_team: str, known: Known = NOTHING_KNOWN) -> Post:
        """What the events of a request say, sound or not."""
        events = arrivals.events
        names, facts = list(map(names_of, events)), list(map(facts_of, events))
        if known.keys:
            names = _with_tags(names, events, known.keys)
        return cls(
            api_key,
            key_team,
            arrivals,
            time_us=microseconds_of(events),
            tokens=token_columns(events),
            keys=known.keys,
            names=names,
            facts=facts,
            known_sets=list(map(known.sets.get, names)),
            known_facts=list(map(known.facts.get, facts)),
        )

    @property
    def events(self) -> list[Event]:
        return self.arrivals.events

    def keep(self, sound: list[bool]) -> None:
        """Leave only the events at the places marked so."""
        self.arrivals.keep(sound)
        self.time_us, self.tokens = self.time_us[sound], self.tokens[sound]
        self.names = list(compress(self.names, sound))
        self.facts = list(compress(self.facts, sound))
        self.known_sets = list(compress(self.known_sets, sound))
        self.known_facts = list(compress(self.known_facts, sound))

    def identify(self) -> Post:
        """Ready to be written, any number of times."""
        self.identity = identities(self.events)
        return self


def _with_tags(names: list[Names], events: list[Event], keys: tuple[str, ...]) -> list[Names]:
    nothing = (None,) * len(keys)
    return [
        (*told, *map(event.tags.get, keys)) if event.tags else told + nothing
        for told, event in zip(names, events, strict=True)
    ]
