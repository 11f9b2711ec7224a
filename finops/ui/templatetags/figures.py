"""Template filters for figures: text from ``finops.ui.formats``, the exact value in the title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from finops.ui import formats
from finops.ui.charts import spark_points
from finops.ui.formats import Change, Currency

register = template.Library()
Amount = Decimal | int | None
BAR = Decimal(100)


def _currency() -> Currency:
    return Currency(settings.REPORTING_CURRENCY)


def _titled(shown: str, exact: str) -> SafeString:
    return format_html('<span title="{}">{}</span>', exact, shown)


def _money(shown: str, amount: Decimal) -> SafeString:
    return _titled(shown, formats.exact_money(amount, _currency()))


@register.filter
def money(amount: Amount, nothing: str = "n/a") -> SafeString | str:
    """In a table. ``nothing`` is the word for None."""
    if amount is None or amount == "":  # or what a template makes of a missing row
        return nothing
    return _money(formats.money(Decimal(amount), _currency()), Decimal(amount))


@register.filter
def cents(amount: Decimal) -> str:
    """An amount of a document, which is whole cents already: just as it is."""
    return _currency().write(amount, _currency().decimals)


@register.filter
def tile_money(amount: Amount, nothing: str = "n/a") -> SafeString | str:
    if amount is None:
        return nothing
    return _money(formats.tile_money(Decimal(amount), _currency()), Decimal(amount))


@register.filter
def detail_money(amount: Amount, nothing: str = "Unpriced") -> SafeString | str:
    if amount is None:
        return nothing
    return _money(formats.detail_money(Decimal(amount), _currency()), Decimal(amount))


@register.filter
def unit_price(amount: Amount, nothing: str = "n/a") -> SafeString | str:
    if amount is None:
        return nothing
    return _money(formats.unit_price(Decimal(amount), _currency()), Decimal(amount))


@register.filter
def price_per_million(price: Amount, nothing: str = "Unpriced") -> SafeString | str:
    """A price for a single unit, shown for a million of them."""
    return nothing if price is None else unit_price(Decimal(price) * formats.MILLION)


@register.filter
def average_price(amount: Amount, nothing: str = "n/a") -> SafeString | str:
    if amount is None:
        return nothing
    price = Decimal(amount)
    # A quotient has no last digit; ten significant ones are more than anybody compares.
    return _money(formats.average_price(price, _currency()), round(price, max(2, 9 - price.adjusted())))


@register.filter
def per_million(cost: Decimal | None, tokens_used: int | Decimal) -> SafeString | str:
    """Cost per one million tokens."""
    return average_price(None if cost is None else formats.per_million(cost, tokens_used))


@register.filter
def per_thousand(cost: Decimal | None, calls: int | Decimal) -> SafeString | str:
    """Cost per one thousand requests."""
    return average_price(None if cost is None else formats.per_thousand(cost, calls))


@register.filter
def tokens(quantity: int | Decimal | None, nothing: str = "n/a") -> SafeString | str:
    if quantity is None:
        return nothing
    return _titled(formats.tokens(quantity), formats.count(quantity))


@register.filter
def count(quantity: int | Decimal | None, nothing: str = "n/a") -> str:
    return nothing if quantity is None else formats.count(quantity)


@register.filter
def share(per_cent: Decimal | None, nothing: str = "n/a") -> str:
    """A share that is in per cent already (``formats.shares``)."""
    return nothing if per_cent is None else formats.per_cent(per_cent / 100)


@register.filter
def ratio(value: Decimal | float | None, nothing: str = "n/a") -> str:
    return nothing if value is None else formats.per_cent(Decimal(value))


@register.filter
def span(seconds: float) -> str:
    """A span of time in its largest unit."""
    return formats.duration(seconds)


@register.filter
def rate(rates: Mapping[str, float], name: str) -> str:
    """One of several rates a second, three significant digits."""
    return formats.tokens(Decimal(rates[name]))


@register.filter
def change(now: Amount, before: Amount) -> SafeString | str:
    """In a tile: "▲ $6,104 (+14.5%)", with the word for those who do not see the arrow."""
    if now is None or before is None:
        return "no comparison"
    moved = Change(Decimal(before), Decimal(now))
    return _coloured(moved, formats.change_in_tile(moved, _currency()))


@register.filter
def price_change(now: Amount, before: Amount) -> SafeString | str:
    """In a tile, of a unit price: small amounts matter too."""
    if now is None or before is None:
        return "no comparison"
    moved = Change(Decimal(before), Decimal(now))
    if not moved.amount or moved.ratio is None:
        return "no change"
    amount = formats.average_price(abs(moved.amount), _currency())
    shown = f"{moved.arrow} {amount} ({formats.per_cent(moved.ratio, signed=True)})"
    return _coloured(moved, shown, least=Decimal(0))


@register.filter
def delta(now: Amount, before: Amount) -> SafeString | str:
    """In a table: the signed amount."""
    if now is None or before is None:
        return "n/a"
    return signed(Decimal(now) - Decimal(before), before)


@register.filter
def signed(amount: Decimal, before: Amount = None) -> SafeString:
    """A difference on its own: signed, coloured against ``before`` where that is given."""
    base = Decimal(before) if before is not None else Decimal(0)
    moved = Change(base, base + amount)
    shown = formats.change_in_table(moved, _currency())
    title = formats.exact_money(amount, _currency())
    if moved.ratio is not None:
        title += f" ({formats.per_cent(moved.ratio, signed=True)})"
    style = _style(moved) if moved.is_notable() else ""
    return format_html('<span class="{}" title="{}">{}</span>', style, title, shown)


@register.filter
def effect(amount: Decimal) -> SafeString | str:
    """One part of a change: signed, exact in the title, an empty cell for exactly nothing."""
    if not amount:
        return ""
    return _money(formats.change_in_table(Change(Decimal(0), amount), _currency()), amount)


@register.filter
def moment(at: datetime | str | None, nothing: str = "never") -> SafeString | str:
    """An instant in the reporting zone with its offset; UTC in the title."""
    if not isinstance(at, datetime):  # None, or what a template makes of a missing row
        return nothing
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        formats.moment(at, settings.REPORTING_TIME_ZONE),
    )


@register.filter
def ago(at: datetime | str | None, nothing: str = "never") -> SafeString | str:
    """How long since an instant, which is in the title."""
    if not isinstance(at, datetime):  # None, or what a template makes of a missing row
        return nothing
    seconds = max(0.0, (timezone.now() - at).total_seconds())
    return format_html(
        '<time datetime="{}" title="{}">{} ago</time>',
        at.isoformat(),
        f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        formats.duration(seconds),
    )


@register.filter
def day(value: date | None, nothing: str = "open") -> str:
    return nothing if value is None else formats.day(value)


@register.filter
def milliseconds(value: float | None, nothing: str = "n/a") -> str:
    return nothing if value is None else formats.milliseconds(value)


@register.filter
def middle(text: str, length: int = 40) -> SafeString | str:
    """A long name shortened in the middle, whole in the title."""
    shown = formats.middle(text, length)
    return text if shown == text else _titled(shown, text)


@register.simple_tag
def bar(part: Decimal, whole: Decimal, kind: str = "") -> SafeString:
    """A bar as long as ``part`` of ``whole``: a picture of a number that stands beside it."""
    width = min(BAR, max(Decimal(0), part * BAR / whole)) if whole else Decimal(0)
    return format_html(
        '<svg class="bar {}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="bar-track" width="100" height="8"/><rect width="{}" height="8"/></svg>',
        f"bar-{kind}" if kind else "",
        f"{width:.1f}",
    )


@register.simple_tag
def sparkline(values: Sequence[Decimal]) -> SafeString | str:
    """A small line of ``values``, made on the server; the figures stand in the table beside it."""
    points, width = spark_points(values)
    if not points:
        return ""
    return format_html(
        '<svg class="spark" viewBox="0 0 {} 30" preserveAspectRatio="none" aria-hidden="true">'
        '<polyline points="{}"/></svg>',
        width,
        points,
    )


@register.simple_tag
def swatch(token: str) -> SafeString:
    """The colour of a series beside its name; ``token`` as in ``charts.Series.token``."""
    return format_html(
        '<svg class="swatch" viewBox="0 0 12 12" aria-hidden="true">'
        '<rect class="{}" width="12" height="12"/></svg>',
        token,
    )


def _coloured(moved: Change, shown: str, least: Decimal = formats.NOTABLE_AMOUNT) -> SafeString:
    style = _style(moved) if moved.is_notable(least) else ""
    return format_html(
        '<span class="{}"><span class="visually-hidden">{} </span>{}</span>', style, moved.word, shown
    )


def _style(moved: Change) -> str:
    return "delta-up" if moved.amount > 0 else "delta-down"
