"""How figures read on screen, as plain text; ``templatetags/figures.py`` wraps them for templates.

Exports and the API never use this module: they carry exact decimals with an ASCII minus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import TypeVar
from zoneinfo import ZoneInfo

from finops.core.money import EXACT, apportion, as_text

MINUS = "\u2212"
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "CHF": "CHF ", "CNY": "CN¥"}
MINOR_UNITS = {
    **dict.fromkeys(("JPY", "KRW", "VND", "CLP", "ISK"), 0),
    **dict.fromkeys(("KWD", "BHD", "JOD", "OMR", "TND"), 3),
}
MILLION, THOUSAND = Decimal(1_000_000), Decimal(1_000)
# A change is coloured only when it is worth a look: past both of these.
NOTABLE_PER_CENT, NOTABLE_AMOUNT = Decimal(2), Decimal(50)

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency as it is written: symbol before the number, so many decimals."""

    code: str

    @property
    def symbol(self) -> str:
        return SYMBOLS.get(self.code, f"{self.code}\u00a0")

    @property
    def decimals(self) -> int:
        return MINOR_UNITS.get(self.code, 2)

    def write(self, amount: Decimal, decimals: int) -> str:
        """Rounded half up to ``decimals``, grouped, with U+2212 for a minus."""
        rounded = _rounded(amount, decimals)
        return f"{MINUS if rounded < 0 else ''}{self.symbol}{abs(rounded):,.{decimals}f}"


def money(amount: Decimal, currency: Currency) -> str:
    """In a table: always the minor unit; what cost something never reads as zero."""
    decimals = currency.decimals
    if amount and not _rounded(amount, decimals):
        least = currency.write(Decimal(1).scaleb(-decimals), decimals)
        return f"<{least}" if amount > 0 else f">{MINUS}{least}"
    return currency.write(amount, decimals)


def tile_money(amount: Decimal, currency: Currency) -> str:
    """In a tile: no minor unit from one thousand on."""
    if abs(_rounded(amount, currency.decimals)) >= THOUSAND:
        return currency.write(amount, 0)
    return money(amount, currency)


def detail_money(amount: Decimal, currency: Currency) -> str:
    """In a detail view: two significant digits below the minor unit ("$0.0042")."""
    least = Decimal(1).scaleb(-currency.decimals)
    if not amount or abs(amount) >= least:
        return currency.write(amount, currency.decimals)
    return currency.write(amount, 1 - amount.adjusted())


def unit_price(amount: Decimal, currency: Currency) -> str:
    """Two to four decimals; two significant digits where even four would show zero."""
    if amount and abs(amount) < Decimal("0.0001"):
        return currency.write(amount, 1 - amount.adjusted())
    decimals = 4
    rounded = _rounded(amount, decimals)
    while decimals > 2 and rounded == _rounded(rounded, decimals - 1):
        decimals -= 1
    if abs(amount) >= 100:
        decimals = 2
    return currency.write(amount, decimals)


def average_price(amount: Decimal, currency: Currency) -> str:
    """A unit price that was computed: cents from one on, four decimals below, so that columns line up."""
    if abs(amount) >= 1:
        return currency.write(amount, 2)
    if amount and abs(amount) < Decimal("0.0001"):
        return currency.write(amount, 1 - amount.adjusted())
    return currency.write(amount, 4)


def per_million(cost: Decimal, tokens: int | Decimal) -> Decimal | None:
    """Cost per one million tokens; None where there are none."""
    return _ratio(cost * MILLION, tokens)


def per_thousand(cost: Decimal, calls: int | Decimal) -> Decimal | None:
    """Cost per one thousand requests; None where there are none."""
    return _ratio(cost * THOUSAND, calls)


def tokens(quantity: int | Decimal) -> str:
    """Three significant digits with k, M, B, T; whole below one thousand."""
    magnitude = abs(Decimal(quantity))
    sign = MINUS if quantity < 0 else ""
    for suffix, size in (("T", 12), ("B", 9), ("M", 6), ("k", 3)):
        # 999,500 rounds to 1,000k, which is 1M.
        if magnitude >= Decimal(f"999.5e{size - 3}"):
            return f"{sign}{_three_digits(magnitude.scaleb(-size))}{suffix}"
    return f"{sign}{_three_digits(magnitude)}"


def count(quantity: int | Decimal) -> str:
    """The number in full, grouped."""
    text = f"{abs(quantity):,}"
    return f"{MINUS}{text}" if quantity < 0 else text


def per_cent(ratio: Decimal, *, signed: bool = False) -> str:
    """A ratio as per cent with one decimal; ``signed`` shows a plus too."""
    rounded = _rounded(ratio * 100, 1)
    sign = MINUS if rounded < 0 else "+" if signed else ""
    return f"{sign}{abs(rounded):,.1f}%"


def shares(amounts: Mapping[Key, Decimal]) -> dict[Key, Decimal]:
    """Each amount's share in per cent to one decimal; they sum to exactly 100.0.

    Largest remainder. Empty where the sum is zero or amounts of both signs make a share meaningless.
    """
    with localcontext(EXACT):
        total = sum(amounts.values(), Decimal(0))
        if not total or any(amount * total < 0 for amount in amounts.values()):
            return {}
        # Truncated, not rounded, so that the exact shares never exceed the hundred they share.
        exact = {key: (amount * 100 / total).quantize(Decimal("1e-20")) for key, amount in amounts.items()}
        last = max(exact, key=lambda key: exact[key])
        exact[last] += 100 - sum(exact.values(), Decimal(0))
    return apportion(Decimal(100), exact, Decimal("0.1"))


@dataclass(frozen=True, slots=True)
class Change:
    """From one amount to another, as it is told."""

    before: Decimal
    now: Decimal

    @property
    def amount(self) -> Decimal:
        return self.now - self.before

    @property
    def ratio(self) -> Decimal | None:
        """None from zero: not infinity."""
        return _ratio(self.amount, abs(self.before))

    @property
    def is_new(self) -> bool:
        return not self.before and bool(self.now)

    @property
    def word(self) -> str:
        return "up" if self.amount > 0 else "down" if self.amount < 0 else "unchanged"

    @property
    def arrow(self) -> str:
        return "▲" if self.amount > 0 else "▼" if self.amount < 0 else ""

    def is_notable(self, least: Decimal = NOTABLE_AMOUNT) -> bool:
        """Past both 2 % and ``least``, so that noise stays uncoloured."""
        if abs(self.amount) < least:
            return False
        return self.ratio is None or abs(self.ratio) * 100 >= NOTABLE_PER_CENT


def change_in_tile(change: Change, currency: Currency) -> str:
    """ "▲ $6,104 (+14.5%)", "new" from zero, "no change"."""
    if change.is_new:
        return "new"
    if not change.amount or change.ratio is None:
        return "no change"
    amount = tile_money(abs(change.amount), currency)
    return f"{change.arrow} {amount} ({per_cent(change.ratio, signed=True)})"


def change_in_table(change: Change, currency: Currency) -> str:
    """The signed amount: "+$5,912.40", the same with a minus, "$0.00"."""
    text = money(change.amount, currency)
    return f"+{text}" if change.amount > 0 else text


def exact_money(amount: Decimal, currency: Currency) -> str:
    """Every digit, for a title attribute."""
    return f"{as_text(amount)} {currency.code}"


def day(value: date) -> str:
    return f"{value.day} {value:%b %Y}"


def moment(at: datetime, zone: ZoneInfo) -> str:
    """An instant to the minute in a zone, which is named."""
    local = at.astimezone(zone)
    return f"{day(local)}, {local:%H:%M %Z}"


def days(first: date, end: date) -> str:
    """A half-open range as people write it: "October 2026", "1–21 Oct 2026", "30 Sep – 2 Oct 2026"."""
    last = end - timedelta(days=1)
    if last < first:
        return f"no days from {day(first)}"
    if first.day == 1 and end.day == 1 and (end - first).days <= 31:
        return f"{first:%B %Y}"
    if first == last:
        return day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}\u2013{day(last)}"
    opening = f"{first.day} {first:%b}" if first.year == last.year else day(first)
    return f"{opening} \u2013 {day(last)}"


def duration(seconds: float) -> str:
    """A span in its one or two largest units: "4 s", "3 min", "2 h", "5 days"."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def milliseconds(value: float | Decimal) -> str:
    """A latency: "340 ms", "1.24 s", "75 s"."""
    if value < 1000:
        return f"{value:.0f} ms"
    seconds = Decimal(str(value)) / 1000
    return f"{_three_digits(seconds)} s" if seconds < 100 else f"{seconds:.0f} s"


def middle(text: str, length: int = 40) -> str:
    """Shortened in the middle, where names of models differ least."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[-(length - 1 - head) :]}"


def sentence_list(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _rounded(amount: Decimal, decimals: int) -> Decimal:
    with localcontext(EXACT):
        return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def _three_digits(magnitude: Decimal) -> str:
    if not magnitude:
        return "0"
    decimals = max(0, 2 - magnitude.adjusted())
    return as_text(_rounded(magnitude, decimals))


def _ratio(part: Decimal, whole: int | Decimal) -> Decimal | None:
    with localcontext(EXACT):
        return part / whole if whole else None
