"""What every page's frame needs: navigation, theme, keyboard preference, the reporting zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from finops.accounts.models import Theme, User
from finops.accounts.permissions import ROLE_CAPABILITIES, Capability
from finops.core.requests import request_id


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation; ``key`` is what ``g`` goes with on the keyboard.

    ``also`` is where else it leads to: the beginning of a path that is not below its own.
    """

    label: str
    url_name: str
    key: str = ""
    need: Capability = Capability.VIEW_COSTS
    also: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A place as one person sees it on one page."""

    label: str
    url: str
    key: str
    current: bool


# Sections in the order of the page; one without a heading comes first.
PLACES: tuple[tuple[str, tuple[Place, ...]], ...] = (
    (
        "",
        (
            Place("Overview", "overview", "o"),
            Place("Cost explorer", "attribution:explorer", "e"),
            Place("Showback", "attribution:showback-latest", "s"),
            Place("Usage events", "attribution:usage", "u"),
        ),
    ),
    (
        "Supply",
        (
            Place("Prices", "pricing:prices", "p", also="/reratings/"),
            Place("Unattributed", "attribution:unattributed", "n"),
            Place("Data health", "health", "h"),
            Place("Quarantine", "attribution:quarantine", "q"),
            Place("Imports", "attribution:imports", "i"),
        ),
    ),
    (
        "Set up",
        (
            Place("Ownership", "attribution:ownership", "w"),
            Place("Governance", "attribution:governance", "t"),
            Place("Span attributes", "attribution:span-attributes", ""),
            Place("Provider keys", "attribution:provider-keys", ""),
            Place("API keys", "accounts:keys", "k"),
            Place("People", "accounts:people", "", Capability.MANAGE_PEOPLE),
            Place("Audit log", "accounts:audit", "", Capability.VIEW_AUDIT),
        ),
    ),
)


def frame(request: HttpRequest) -> dict[str, Any]:  # Any: a template context
    """The context processor. Reads the signed-in user, which the session has loaded, and no more."""
    user = getattr(request, "user", None)
    signed_in = isinstance(user, User)
    return {
        "frame": {
            "sections": _sections(user, request.path) if isinstance(user, User) else [],
            "theme": user.theme if isinstance(user, User) and user.theme != Theme.SYSTEM else "",
            "shortcuts": isinstance(user, User) and user.shortcuts_enabled,
            "signed_in": signed_in,
            "zone": str(settings.REPORTING_TIME_ZONE),
            "currency": settings.REPORTING_CURRENCY,
            "request_id": request_id.get(),
        }
    }


def _sections(user: User, path: str) -> list[tuple[str, list[Entry]]]:
    sections = []
    for heading, places in PLACES:
        entries = [entry for place in places if (entry := _entry(place, user, path)) is not None]
        if entries:
            sections.append((heading, entries))
    return sections


def _entry(place: Place, user: User, path: str) -> Entry | None:
    if place.need not in ROLE_CAPABILITIES[user.role]:
        return None
    try:
        url = reverse(place.url_name)
    except NoReverseMatch:  # a page that this installation does not have
        return None
    stem = "/" + url.split("/")[1] + "/" if url != "/" else "/"
    stems = (url, stem, place.also) if place.also else (url, stem)
    current = path == "/" if url == "/" else path.startswith(stems)
    return Entry(place.label, url, place.key, current)
