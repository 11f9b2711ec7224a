"""Reads the published book out of the database into ``pricing.book`` values: a query for each kind of row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from pricing.agreements import Agreed
from pricing.book import Book
from pricing.entries import Alias, BookRow, Factor, Span, UnitPrice
from pricing.history import AS_IF, NEVER, History, Known
from pricing.models import (
    Agreement,
    BookVersion,
    ContextMode,
    ContextOperator,
    DraftSupersession,
    ModelAlias,
    Multiplier,
    Price,
    PriceKind,
    Rate,
    Versioned,
    VersionedQuerySet,
    VersionStatus,
)
from pricing.schedules import Schedule

Part = TypeVar("Part", BookRow, Factor, Alias, Agreed)


def current_version() -> str:
    """Names the state of the book: another one after every publication, '' before the first."""
    latest = BookVersion.objects.filter(status=VersionStatus.PUBLISHED).order_by("-published_at")
    for number, published_at in latest.values_list("pk", "published_at")[:1]:
        return f"{number} {published_at}"
    return ""


Numbered = TypeVar("Numbered", BookRow, Agreed)
Ends = dict[tuple[type[Versioned], int], float]  # which rows are known until when

_remembered: Book | None = None
# With the versions that it is made of; one value, for threads share it.
_remembered_history: tuple[History, frozenset[tuple[int, datetime | None]]] | None = None


def published_book() -> Book:
    """The book as published now; kept by each process until the next publication. One query."""
    global _remembered
    if _remembered is None or _remembered.version != current_version():
        _remembered = load_book()
    return _remembered


def load_book(known_at: datetime | None = None) -> Book:
    """The book as known at a time (None: now)."""
    version = current_version()
    prices = Price.objects.known(known_at).select_related("version")
    rates = _rates(prices)
    factors = Multiplier.objects.known(known_at).select_related("version")
    aliases = ModelAlias.objects.known(known_at)
    agreements = _with_bands(Agreement.objects.known(known_at).select_related("version"))
    return Book.of(
        [_row(price, rates.get(price.pk, {}), known_from=_since(price)) for price in prices],
        [book_factor(multiplier, known_from=_since(multiplier)) for multiplier in factors],
        [book_alias(alias) for alias in aliases],
        version,
        [book_agreement(agreement, known_from=_since(agreement)) for agreement in agreements],
    )


def published_history() -> History:
    """Everything published up to now; kept by each process until the next publication. One query.

    After a publication only what it changed is read.
    """
    global _remembered_history
    if _remembered_history is not None and _remembered_history[0].version == current_version():
        return _remembered_history[0]
    published = BookVersion.objects.filter(status=VersionStatus.PUBLISHED).order_by("published_at")
    versions = list(published.values_list("pk", "published_at"))
    name = "{} {}".format(*versions[-1]) if versions else ""
    renewed = None
    if _remembered_history is not None and _remembered_history[1] <= set(versions):
        fresh = [number for number, _ in set(versions) - _remembered_history[1]]
        renewed = _renewed(_remembered_history[0], fresh, name)
    history = renewed or replace(_history([number for number, _ in versions], set(), only=True), version=name)
    _remembered_history = (history, frozenset(versions))
    return history


def _renewed(known: History, fresh: list[int], name: str) -> History | None:
    """What was known, and these versions after it; None where it has to be read anew."""
    if any(model.objects.filter(superseded_by__in=fresh).exists() for model in (Multiplier, ModelAlias)):
        return None
    ends: Ends = {}
    for model in (Price, Agreement):
        ended = model._default_manager.filter(superseded_by__in=fresh).select_related("superseded_by")
        ends |= {(model, row.pk): _since_version(row.superseded_by) for row in ended}
    return _with(known, _history(fresh, set(), only=True), ends, version=name)


def load_history(as_if: BookVersion | None = None) -> History:
    """Everything that was ever published; a draft on top of it as if it were the next publication.

    Under a draft, what was published is what this process remembers: reading it is most of the work.
    """
    if as_if is None:
        return _history([], set())
    replaced = _replaced(as_if)
    if any(model not in (Price, Agreement) for model, _ in replaced):
        return _history([as_if.pk], replaced)
    ends = dict.fromkeys(replaced, AS_IF)
    published = published_history()
    return _with(published, _history([as_if.pk], set(), only=True), ends, version=published.version)


def _with(known: History, more: History, ends: Ends, *, version: str) -> History:
    """Prices and agreements that end are known until then; further rows stand beside."""
    prices = {number: at for (model, number), at in ends.items() if model is Price}
    agreements = {number: at for (model, number), at in ends.items() if model is Agreement}
    return History(
        version,
        _beside(_ending(known.rows, prices), more.rows),
        _beside(known.factors, more.factors),
        _beside(known.aliases, more.aliases),
        _beside(_ending(known.agreements, agreements), more.agreements),
    )


def _ending(
    known: Mapping[str, Sequence[Known[Numbered]]], ends: Mapping[int, float]
) -> Mapping[str, Sequence[Known[Numbered]]]:
    return {
        provider: [replace(row, known_to=ends.get(row.part.id, row.known_to)) for row in each]
        if any(row.part.id in ends for row in each)
        else each
        for provider, each in known.items()
    }


def book_as_if(version: BookVersion | None) -> Book:
    """The published book less what the draft supersedes, plus its own rows; None: as published now."""
    history = load_history(version)

    def now(parts: Mapping[str, Sequence[Known[Part]]]) -> list[Part]:
        return [known.part for each in parts.values() for known in each if known.known_to == NEVER]

    rows, factors, aliases = now(history.rows), now(history.factors), now(history.aliases)
    return Book.of(rows, factors, aliases, history.version, now(history.agreements))


def book_row(price: Price, rates: Iterable[Rate], *, known_from: float) -> BookRow:
    """A price and its rates as the arithmetic sees them; ``known_from`` is in Unix seconds."""
    units = {rate.meter: UnitPrice(rate.unit_price, rate.per, rate.minimum) for rate in rates}
    return _row(price, units, known_from=known_from)


def _row(price: Price, rates: Mapping[str, UnitPrice], *, known_from: float) -> BookRow:
    return BookRow(
        id=price.pk,
        provider=price.provider,
        model=price.model,
        rates=rates,
        fees=price.kind == PriceKind.FEES,
        service_tier=price.service_tier,
        processing=price.processing,
        speed=price.speed,
        region=price.region,
        host=price.host,
        over=_exclusive_bound(price),
        marginal=price.mode == ContextMode.MARGINAL,
        schedule=Schedule.parse(price.schedule) if price.schedule else None,
        effective=_span(price),
        known_from=known_from,
        source=price.source,
        evidence=price.evidence,
    )


def book_factor(multiplier: Multiplier, *, known_from: float) -> Factor:
    """A multiplier as the arithmetic sees it."""
    names = (multiplier.provider, multiplier.model, multiplier.region)
    return Factor(*names, multiplier.factor, _span(multiplier), known_from)


def book_alias(alias: ModelAlias) -> Alias:
    """An alias as the arithmetic sees it."""
    target = (alias.target_provider, alias.target_model)
    return Alias(alias.provider, alias.host, alias.model, *target, _span(alias))


def book_agreement(agreement: Agreement, *, known_from: float) -> Agreed:
    """An agreement as the arithmetic sees it: with the band over 0 of those read with it."""
    band = min(agreement.bands.all(), key=lambda band: band.over, default=None)
    rates = band.rates.all() if band else ()
    return Agreed(
        id=agreement.pk,
        name=agreement.name,
        provider=agreement.provider,
        model=agreement.model,
        account=agreement.account,
        host=agreement.host,
        region=agreement.region,
        service_tier=agreement.service_tier,
        processing=agreement.processing,
        speed=agreement.speed,
        meters=frozenset(agreement.meters),
        includes_fees=agreement.includes_fees,
        percent_off=band.percent_off if band else None,
        rates={rate.meter: UnitPrice(rate.unit_price, rate.per) for rate in rates},
        effective=_span(agreement),
        known_from=known_from,
        source=agreement.source,
    )


def seconds(instant: datetime | None) -> int | None:
    """Unix seconds of the end of an interval."""
    return None if instant is None else int(instant.timestamp())


def _exclusive_bound(price: Price) -> int:
    if price.context_threshold is None:
        return 0
    return price.context_threshold - (price.context_operator == ContextOperator.AT_LEAST)


def _span(part: Versioned) -> Span:
    return (seconds(part.effective_from), seconds(part.effective_to))


def _since(row: Versioned) -> float:
    """When a row became known, in Unix seconds; a draft's: after everything else."""
    return _since_version(row.version)


def _since_version(version: BookVersion | None) -> float:
    return AS_IF if version is None or version.published_at is None else version.published_at.timestamp()


def _known(row: Versioned, part: Part, replaced: set[tuple[type[Versioned], int]]) -> Known[Part]:
    if (type(row), row.pk) in replaced:
        return Known(part, _since(row), AS_IF)
    published_at = row.superseded_by.published_at if row.superseded_by else None
    return Known(part, _since(row), NEVER if published_at is None else published_at.timestamp())


def _rates(prices: Any) -> dict[int, dict[str, UnitPrice]]:  # Any: a queryset of prices
    """The rates of these prices, by price and meter, in one query."""
    found: dict[int, dict[str, UnitPrice]] = {}
    rates = Rate.objects.filter(price__in=prices.order_by().values("pk"))
    names = ("price_id", "meter", "unit_price", "per", "minimum")
    for price, meter, amount, per, minimum in rates.values_list(*names):
        found.setdefault(price, {})[meter] = UnitPrice(amount, per, minimum)
    return found


def _history(
    versions: list[int], replaced: set[tuple[type[Versioned], int]], *, only: bool = False
) -> History:
    """What was published and the rows of these versions; of these ``only``."""
    version = current_version()
    prices = _ever(Price, versions, only=only)
    rates = _rates(prices)
    return History.of(
        [_known(row, _row(row, rates.get(row.pk, {}), known_from=_since(row)), replaced) for row in prices],
        [
            _known(row, book_factor(row, known_from=_since(row)), replaced)
            for row in _ever(Multiplier, versions, only=only)
        ],
        [_known(row, book_alias(row), replaced) for row in _ever(ModelAlias, versions, only=only)],
        version,
        [
            _known(row, book_agreement(row, known_from=_since(row)), replaced)
            for row in _with_bands(_ever(Agreement, versions, only=only))
        ],
    )


def _beside(
    known: Mapping[str, Sequence[Known[Part]]], more: Mapping[str, Sequence[Known[Part]]]
) -> dict[str, Sequence[Known[Part]]]:
    together: dict[str, Sequence[Known[Part]]] = dict(known)
    for provider in more:
        rows: list[Known[Part]] = list(known.get(provider, ()))
        rows.extend(more[provider])
        together[provider] = rows
    return together


def _ever(model: type[Versioned], versions: list[int], *, only: bool) -> Any:
    # Any: a queryset of the model
    own: VersionedQuerySet = model.objects.filter(version__in=versions)
    rows = own if only else model.objects.filter(version__status=VersionStatus.PUBLISHED) | own
    return rows.select_related("version", "superseded_by").order_by("id")


def _with_bands(agreements: Any) -> Any:  # Any: a queryset of agreements
    return agreements.prefetch_related("bands__rates")


def _replaced(as_if: BookVersion) -> set[tuple[type[Versioned], int]]:
    kinds: tuple[type[Versioned], ...] = (Price, Multiplier, ModelAlias, Agreement)
    links = DraftSupersession.objects.filter(version=as_if).values_list(
        "price_id", "multiplier_id", "alias_id", "agreement_id"
    )
    return {(model, pk) for numbers in links for model, pk in zip(kinds, numbers, strict=True) if pk}
