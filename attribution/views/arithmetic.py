"""The arithmetic of a cost: each quantity, its unit price and where that comes from, and every charge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.conf import settings
from django.http import HttpResponseBase
from django.urls import reverse

from attribution.charge_lines import ChargeLine, charge_lines
from attribution.meter_lines import CONDITIONS, MeterLine, meter_lines
from attribution.models import Origin
from attribution.views import asking
from attribution.views.answering import ARITHMETIC_PATH, EXPLORER
from attribution.views.lines import added
from finops.accounts.permissions import Capability
from finops.ui import exports, formats
from finops.ui.exports import Cell, Column, Export, Format, Kind
from finops.ui.filters import COSTS, Screen
from finops.ui.formats import Currency
from finops.ui.screens import Asked, opens
from pricing.models import Agreement, Price

ARITHMETIC = Screen(path=ARITHMETIC_PATH, dimensions=asking.DIMENSIONS, more=asking.tag_dimensions)
# Beyond them a page is no reading any more; the file has every line.
MOST_LINES = 80
_PAGES = {
    Origin.AGREEMENT: "pricing:agreement",
    Origin.COMMITMENT: "attribution:commitment",
    Origin.CREDIT: "attribution:credit",
    Origin.TAX: "attribution:tax",
}
# What goes without saying of a call.
_PLAIN = {"service_tier": "standard", "processing": "sync", "speed": "standard"}
_SAID = {"context_over": "prompt over {:,} tokens", "host": "host {}", "region": "region {}"}
_SAID |= {"account": "account {}", "schedule": "{} hours"}


@dataclass(frozen=True, slots=True)
class Term:
    """Quantity x unit price: one meter under one set of conditions, by one row of the price book."""

    line: MeterLine
    price: Price | None  # None: it has no price and is in no cost
    agreement: Agreement | None

    @property
    def conditions(self) -> str:
        """What of the conditions does not go without saying, in words."""
        told = dict(zip(CONDITIONS, self.line.conditions, strict=True))
        words = ["answered from a response cache"] if told["from_response_cache"] else []
        unusual = [
            (name, told[name]) for name in (*_PLAIN, *_SAID) if told[name] and told[name] != _PLAIN.get(name)
        ]
        return ", ".join([*words, *(_SAID.get(name, "{}").format(value) for name, value in unusual)])

    @property
    def provider(self) -> str:
        return str(self.line.conditions[0])


@dataclass(frozen=True, slots=True)
class Beside:
    """One charge, with the page of what it comes from."""

    line: ChargeLine
    url: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """All of a cost, the largest part first: ``usage`` and ``charged`` are sums, ``total`` theirs."""

    terms: Sequence[Term]
    charges: Sequence[Beside]

    @property
    def usage(self) -> Decimal:
        return added(term.line.cost for term in self.terms)

    @property
    def charged(self) -> Decimal:
        return added(beside.line.cost for beside in self.charges)

    @property
    def total(self) -> Decimal:
        return added([self.usage, self.charged])

    @property
    def has_agreements(self) -> bool:
        """Whether any price shown is a contracted one that this person may know of."""
        return any(term.agreement for term in self.shown)

    @property
    def shown(self) -> Sequence[Term]:
        return self.terms[:MOST_LINES]

    @property
    def rest(self) -> Sequence[Term]:
        return self.terms[MOST_LINES:]

    @property
    def rest_cost(self) -> Decimal:
        return added(term.line.cost for term in self.rest)


@opens(ARITHMETIC)
def arithmetic(asked: Asked) -> HttpResponseBase:
    """The sum behind a cost of any screen: the same period, conditions and kind of cost."""
    view, found, sees_contracted = asked.view, _work_out(asked), _sees_contracted(asked)
    explorer = replace(EXPLORER, dimensions=view.screen.dimensions, costs=view.screen.costs)
    total = formats.tile_money(found.total, Currency(settings.REPORTING_CURRENCY))
    context = {
        "bar": asked.bar("period", "cost"),
        "exports": asked.exports(),
        "heading": f"The arithmetic of {total}",
        "aside": f"{COSTS[view.cost].lower()}, {asked.bar().days}",
        "found": found,
        "sees_contracted": sees_contracted,
        # Whoever sees contracted prices has the unit price of every cost before them.
        "shows_effective": view.cost == "effective" and not sees_contracted,
        "explorer_url": view.with_(
            screen=explorer, group=explorer.group, sort=explorer.sorts[0], tab=explorer.tabs[0]
        ).url,
    }
    return asked.answer("attribution/arithmetic.html", context)


@opens(ARITHMETIC, file=True)
def arithmetic_export(asked: Asked, wanted: str) -> HttpResponseBase:
    """Every line with every digit."""
    view, found, currency = asked.view, _work_out(asked), settings.REPORTING_CURRENCY
    sees_contracted = _sees_contracted(asked)
    named = ("Kind of charge", "Charge", "Provider", "Model", "Conditions", "Meter")
    columns = [
        *(Column(title) for title in named),
        Column("Quantity", Kind.COUNT),
        Column(f"List price ({currency}, each)", Kind.UNIT_PRICE),
        *([Column(f"Contracted price ({currency}, each)", Kind.UNIT_PRICE)] if sees_contracted else []),
        Column(f"Price ({currency}, each)", Kind.UNIT_PRICE),
        Column(f"{COSTS[view.cost]} ({currency})", Kind.UNIT_PRICE),
        *(Column(title) for title in ("Price version", "Source")),
        *([Column("Agreement")] if sees_contracted else []),
    ]
    cost_at = len(named) + (4 if sees_contracted else 3)
    total: list[Cell] = [None] * len(columns)
    total[0], total[cost_at] = "Total", found.total
    export = Export(
        name=f"arithmetic-{view.span.so_far.first}-{view.span.so_far.end}",
        columns=columns,
        rows=_rows(found, len(columns), cost_at, sees_contracted=sees_contracted),
        total=total,
        about=[
            ("Period", asked.bar().days),
            ("Time zone", str(settings.REPORTING_TIME_ZONE)),
            ("Filters", "; ".join(chip.text for chip in view.chips) or "none"),
            ("Cost", COSTS[view.cost]),
            ("Currency", currency),
            ("Total to check", found.total),
            ("View", asked.request.build_absolute_uri(view.pinned().url)),
        ],
    )
    return exports.respond(export, Format(wanted))


def _sees_contracted(asked: Asked) -> bool:
    return asked.principal.may(Capability.VIEW_CONTRACTED_PRICES)


def _work_out(asked: Asked) -> Arithmetic:
    query = asking.question(asked, measures=())
    lines = meter_lines(query, by_price=True)
    rates = [line.rate for line in lines if line.rate is not None]
    prices = Price.objects.select_related("version").in_bulk({rate.price_id for rate in rates})
    agreed = {rate.agreement_id for rate in rates if rate.agreement_id is not None}
    agreements = Agreement.objects.in_bulk(agreed) if _sees_contracted(asked) else {}
    terms = [
        Term(
            line,
            price=prices.get(line.rate.price_id) if line.rate else None,
            agreement=agreements.get(line.rate.agreement_id or 0) if line.rate else None,
        )
        for line in lines
    ]
    terms.sort(key=lambda term: (-abs(term.line.cost), term.provider, term.line.model, term.line.meter))
    charges = [Beside(line, _origin_url(line)) for line in charge_lines(query)]
    charges.sort(key=lambda beside: (-abs(beside.line.cost), beside.line.label))
    return Arithmetic(terms, charges)


def _origin_url(line: ChargeLine) -> str:
    return reverse(_PAGES[line.origin], args=[line.origin_id]) if line.name else ""


def _rows(found: Arithmetic, width: int, cost_at: int, *, sees_contracted: bool) -> Iterator[Sequence[Cell]]:
    for term in found.terms:
        line, rate = term.line, term.line.rate
        contracted: list[Cell] = [rate.contracted_price if rate else None] if sees_contracted else []
        agreement: list[Cell] = [str(term.agreement) if term.agreement else None] if sees_contracted else []
        yield [
            "Usage",
            None,
            term.provider,
            line.model,
            term.conditions,
            line.meter,
            line.quantity,
            rate.list_price if rate else None,
            *contracted,
            rate.price if rate else None,
            line.cost if rate else None,
            str(term.price.version) if term.price else None,
            term.price.source if term.price else None,
            *agreement,
        ]
    for beside in found.charges:
        row: list[Cell] = [None] * width
        row[0], row[1], row[cost_at] = beside.line.kind.label, beside.line.label, beside.line.cost
        yield row
