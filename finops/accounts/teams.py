"""The teams there are, as told by the package that owns them.

Teams live above this package, in ``attribution``, which hands its list down when it is loaded; here
they are slugs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

TeamSource = Callable[[], Iterable[str]]


def _no_teams() -> Iterable[str]:
    return ()


_source: TeamSource = _no_teams


def learn_teams_from(source: TeamSource) -> None:
    """Called once, at start, by the owner of teams; ``source`` answers the slugs of now."""
    global _source
    _source = source


def team_slugs() -> list[str]:
    """Every registered team, in order; one query."""
    return sorted(_source())
