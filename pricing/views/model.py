"""One model: its prices over time, what each rests on, and since when it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from pricing.conditions import Conditions, conditions_of
from pricing.expiring import expiring
from pricing.models import ModelAlias, Multiplier, Price, VersionStatus
from pricing.patterns import is_pattern, matches
from pricing.views.book import tabs
from pricing.views.contracted import Line, Negotiated
from pricing.views.shown import State, conditions, state_of

WIDTH = 1000
_MARGIN = timedelta(days=120)


@dataclass(frozen=True, slots=True)
class Row:
    """One stored price: what it charges, when, and what is known of it."""

    price: Price
    lines: Sequence[Line]
    state: State
    start: int  # along the timeline
    width: int


@dataclass(frozen=True, slots=True)
class Track:
    """The prices of one set of conditions, latest first."""

    conditions: Sequence[str]
    rows: Sequence[Row]

    @property
    def is_negotiated(self) -> bool:
        """Whether an agreement holds for any of them."""
        return any(line.contracted for row in self.rows for line in row.lines)


@require_safe
@for_people(Capability.VIEW_COSTS)
def model(request: PersonRequest) -> HttpResponse:
    """Every price the book ever said of ``?provider=`` and ``?model=``. Nine queries."""
    provider, name = request.GET.get("provider", ""), request.GET.get("model", "")
    now = timezone.now()
    found = list(
        Price.objects.filter(provider=provider, model__iexact=name, version__status=VersionStatus.PUBLISHED)
        .select_related("version", "superseded_by")
        .prefetch_related("rates")
    )
    if not found:
        raise Http404
    principal = principal_of_person(request.user)
    sees_contracted = principal.may(Capability.VIEW_CONTRACTED_PRICES)
    scale = _Scale(found, now)
    tracks = _tracks(found, scale, now, Negotiated.known() if sees_contracted else Negotiated())
    in_force = sum(1 for track in tracks for row in track.rows if row.state == State.IN_FORCE)
    context = {
        "tabs": tabs("pricing:prices", sees_contracted=sees_contracted),
        "may_edit": principal.may(Capability.EDIT_PRICES),
        "provider": provider,
        "model": found[0].model,
        "is_pattern": is_pattern(name),
        "tracks": tracks,
        "has_contracted": any(track.is_negotiated for track in tracks),
        "total": len(found),
        "in_force": in_force,
        "expiring": [
            one for one in expiring(now, looks_at_use=False) if one.price.pk in {price.pk for price in found}
        ],
        "today": scale.place(now),
        "first": scale.first,
        "last": scale.last,
        "width": WIDTH,
        "beside": _beside(provider, name),
        "aliases": _aliases(provider, name),
        "multipliers": _multipliers(provider, name),
    }
    return render(request, "pricing/model.html", context)


class _Scale:
    """Instants along the width of the timeline: from before the first edge to after the last."""

    def __init__(self, prices: Sequence[Price], now: datetime) -> None:
        edges = [edge for one in prices for edge in (one.effective_from, one.effective_to) if edge] + [now]
        self.first, self.last = min(edges) - _MARGIN, max(edges) + _MARGIN

    def place(self, at: datetime | None, otherwise: int = 0) -> int:
        if at is None:
            return otherwise
        return round(WIDTH * ((at - self.first) / (self.last - self.first)))


def _tracks(prices: Sequence[Price], scale: _Scale, now: datetime, negotiated: Negotiated) -> list[Track]:
    grouped: dict[Conditions, list[Row]] = {}
    for price in prices:
        start, end = scale.place(price.effective_from), scale.place(price.effective_to, WIDTH)
        lines = [negotiated.line(rate, now) for rate in price.rates.all()]
        row = Row(price, lines, state_of(price, now), start, max(end - start, 4))
        grouped.setdefault(conditions_of(price), []).append(row)
    tracks = []
    for key in sorted(grouped):
        rows = sorted(
            grouped[key], key=lambda row: (row.state == State.SUPERSEDED, -row.start, -row.price.pk)
        )
        tracks.append(Track(conditions(rows[0].price) or ["standard"], rows))
    return tracks


def _beside(provider: str, name: str) -> list[str]:
    """Other names of the book that fit this one: patterns, and fees of the whole provider."""
    names = Price.objects.known().filter(provider=provider).values_list("model", flat=True).distinct()
    return sorted(other for other in names if other.lower() != name.lower() and matches(other, name))


def _aliases(provider: str, name: str) -> list[ModelAlias]:
    return list(ModelAlias.objects.known().filter(target_provider=provider, target_model__iexact=name))


def _multipliers(provider: str, name: str) -> list[Multiplier]:
    known = Multiplier.objects.known().filter(provider=provider)
    return [one for one in known if matches(one.model, name)]
