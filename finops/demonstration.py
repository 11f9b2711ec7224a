"""What ``up`` asks of the demo company: whether to load it, and how to sign in to it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol, cast

from django.core.management import get_commands


class Demo(Protocol):
    """The part of ``finops.demo`` that is relied on here."""

    def is_loaded(self) -> bool:
        """Whether the demo company was loaded into this database before."""
        ...

    def logins(self) -> Sequence[tuple[str, str, str]]:
        """E-mail address, password and role of each demo person."""
        ...


def is_wanted() -> bool:
    """Whether there is a demo company to load that is not there yet."""
    return "demo" in get_commands() and not _demo().is_loaded()


def login_lines() -> list[str]:
    """Lines for the terminal; none unless the demo company is loaded."""
    if "demo" not in get_commands() or not _demo().is_loaded():
        return []
    people = _demo().logins()
    width = max(len(email) for email, _, _ in people)
    return ["Demo logins:"] + [
        f"  {email:<{width}}  {password}  ({role})" for email, password, role in people
    ]


def _demo() -> Demo:
    return cast("Demo", importlib.import_module("finops.demo"))
