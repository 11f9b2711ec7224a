"""The form of an agreement: what it is about, and a table of what it takes off or fixes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.forms import BoundField

from finops.accounts.forms import OurForm
from finops.core.errors import FieldProblem
from finops.core.money import as_text
from pricing.models import BandMode, VolumeOf
from pricing.views.agreed import ShownAgreement
from pricing.views.into_draft import DAY_HELP, IntoDraftForm, as_typed, instant
from pricing.views.shown import MILLION, TOKENS

ROWS, MOST_ROWS = 3, 60
_ABOUT = ("name", "provider", "model", "effective_from", "effective_to")
_CONDITIONS = ("account", "host", "region", "service_tier", "processing", "speed")
_RESTS_ON = ("source", "note", "draft")
_MISSING = {
    "meter": "Say of which meter.",
    "unit_price": "Say what it costs.",
    "per": "Say for how many, such as 1000.",
}
Body = dict[str, Any]  # JSON


class TermForm(OurForm):
    """One row of the table: a percentage, or the price of one meter, over a volume where there are bands."""

    over = forms.CharField(max_length=40, required=False, label="Over a volume of")
    percent_off = forms.CharField(max_length=40, required=False, label="Per cent off")
    meter = forms.CharField(max_length=64, required=False)
    unit_price = forms.CharField(max_length=40, required=False, label="Price")
    per = forms.CharField(max_length=12, required=False, label="For so many")

    def __init__(self, *args: Any, number: int, **kwargs: Any) -> None:  # Any: Django's arguments
        kwargs |= {"prefix": f"terms-{number}", "empty_permitted": True, "use_required_attribute": False}
        super().__init__(*args, **kwargs)
        self.number = number + 1
        for field in self.fields.values():
            field.widget.attrs |= {
                "aria-label": f"{field.label or 'Meter'}, row {self.number}",
                "class": "field",
                "size": 10,
            }
        self.fields["meter"].widget.attrs["list"] = "meters"

    @property
    def is_empty(self) -> bool:
        return not any(self.cleaned_data.values())

    def volume(self) -> Decimal | None:
        """Over which volume it holds; None, with the problem at its field, where that is no number."""
        try:
            return Decimal(self.cleaned_data["over"].replace(",", "") or 0).normalize()
        except InvalidOperation:
            self.add_error("over", "Give a number, such as 1000000000.")
            return None

    def rate(self) -> Body:
        """The fixed rate that it states."""
        said = self.cleaned_data
        usual = str(MILLION) if said["meter"] in TOKENS else ""
        return {"meter": said["meter"], "unit_price": said["unit_price"], "per": said["per"] or usual}


class AgreementForm(IntoDraftForm):
    """What is entered beside the table."""

    name = forms.CharField(max_length=128, help_text="As in the contract.")
    provider = forms.CharField(max_length=64)
    model = forms.CharField(
        max_length=256, required=False, help_text="A name, or a pattern with * and ?. Empty: all of them."
    )
    account = forms.CharField(max_length=128, required=False, help_text="The account that is billed.")
    host = forms.CharField(max_length=64, required=False)
    region = forms.CharField(max_length=64, required=False, help_text="May be a pattern.")
    service_tier = forms.CharField(max_length=64, required=False)
    processing = forms.CharField(max_length=32, required=False, help_text="Such as batch.")
    speed = forms.CharField(max_length=32, required=False)
    meters = forms.CharField(
        max_length=2_000,
        required=False,
        label="Only these meters",
        help_text="Names, blanks between: input cache_read. Empty: all meters of tokens.",
    )
    includes_fees = forms.BooleanField(
        required=False, label="It also holds for fees by the call", help_text="Such as web searches."
    )
    volume_of = forms.ChoiceField(
        choices=VolumeOf.choices, required=False, label="A month's volume is counted in"
    )
    band_mode = forms.ChoiceField(
        choices=BandMode.choices, required=False, label="A band that is reached covers"
    )
    effective_from = forms.CharField(max_length=40, required=False, label="From", help_text=DAY_HELP)
    effective_to = forms.CharField(max_length=40, required=False, label="To", help_text="Empty: open.")
    source = forms.CharField(max_length=2_000, required=False, help_text="Where it can be looked up.")
    note = forms.CharField(max_length=2_000, required=False)

    @property
    def about(self) -> list[BoundField]:
        return [self[name] for name in _ABOUT]

    @property
    def conditions(self) -> list[BoundField]:
        return [self[name] for name in (*_CONDITIONS, "meters", "includes_fees")]

    @property
    def bands(self) -> list[BoundField]:
        return [self["volume_of"], self["band_mode"]]

    @property
    def rests_on(self) -> list[BoundField]:
        return [self[name] for name in _RESTS_ON]

    def body(self) -> Body:
        """What is entered, as the API is told of it, without the bands."""
        said = self.cleaned_data
        body = {name: said[name] for name in ("name", "provider", *_CONDITIONS, "source", "note")}
        return body | {
            "model": said["model"] or "*",
            "meters": said["meters"].replace(",", " ").split(),
            "includes_fees": said["includes_fees"],
            "volume_of": said["volume_of"],
            "band_mode": said["band_mode"],
            "effective_from": instant(said["effective_from"]),
            "effective_to": instant(said["effective_to"]),
        }


class EntryForm:
    """The form and its table as one, from what was sent or from what is to be corrected."""

    def __init__(
        self, told: Mapping[str, Any] | None, initial: Mapping[str, Any], rows: Sequence[Body] = ()
    ) -> None:
        self.form = AgreementForm(told, initial=dict(initial))
        count = _count(told) if told is not None else max(len(rows), ROWS)
        self.rows = [
            TermForm(told, initial=rows[number] if number < len(rows) else None, number=number)
            for number in range(count)
        ]
        self._bands: list[_Band] = []

    @classmethod
    def with_another_row(cls, told: Mapping[str, Any]) -> EntryForm:
        """What was sent, unchecked, and an empty row below."""
        initial = {name: told.get(name, "") for name in AgreementForm.base_fields} | {
            "draft": told.get("draft", "")
        }
        fields = TermForm.base_fields
        rows = [{name: told.get(f"terms-{n}-{name}", "") for name in fields} for n in range(_count(told))]
        return cls(None, initial, [*rows, {}][:MOST_ROWS])

    @classmethod
    def of(cls, shown: ShownAgreement) -> EntryForm:
        """As an agreement of the book fills it in."""
        agreement = shown.agreement
        plain = ("name", "provider", "model", *_CONDITIONS, "includes_fees", "volume_of", "band_mode")
        initial: Body = {name: getattr(agreement, name) for name in (*plain, "source", "note")}
        initial["meters"] = " ".join(agreement.meters)
        for name in ("effective_from", "effective_to"):
            initial[name] = _cell(getattr(agreement, name))
        rows = []
        for term in shown.terms:
            row = {"over": as_text(term.band.over) if term.band.over else ""}
            if rate := term.rate:
                row |= {"meter": rate.meter, "unit_price": as_text(rate.unit_price), "per": str(rate.per)}
            else:
                row["percent_off"] = term.percent
            rows.append(row)
        return cls(None, initial, rows)

    @property
    def wrong_rows(self) -> list[TermForm]:
        """Those that have to be put right."""
        return [row for row in self.rows if row.errors]

    @property
    def has_bands(self) -> bool:
        """Whether anything is said of volumes."""
        return any(one.value() or one.errors for one in self.form.bands)

    @property
    def has_conditions(self) -> bool:
        return any(one.value() or one.errors for one in self.form.conditions)

    @property
    def has_errors(self) -> bool:
        return bool(self.form.errors or self.wrong_rows)

    def body(self) -> Body | None:
        """All of it as the API is told; None, with each problem at its field, where it cannot be read."""
        if not all([self.form.is_valid(), *(row.is_valid() for row in self.rows)]):
            return None
        self._bands = self._read_bands()
        if not self._bands and not self.has_errors:
            self.form.add_error(None, "Say what was agreed: a percentage off, or prices of meters.")
        if self.has_errors:
            return None
        return self.form.body() | {"bands": [band.body for band in self._bands]}

    def refuse(self, problems: Iterable[FieldProblem]) -> None:
        """Show each problem of the body where it was typed."""
        for problem in problems:
            _, is_term, path = problem.field.partition("bands.")
            if is_term:
                self._refuse_term(path.split("."), problem)
            else:
                name = problem.field.partition(".")[0]
                self.form.add_error(name if name in self.form.fields else None, as_typed(problem))

    def _read_bands(self) -> list[_Band]:
        found: dict[Decimal, _Band] = {}
        for row in self.rows:
            over = None if row.is_empty else row.volume()
            if over is not None:
                found.setdefault(over, _Band(over, row)).take(row)
        return [found[over] for over in sorted(found)]

    def _refuse_term(self, path: Sequence[str], problem: FieldProblem) -> None:
        number, *rest = path
        if not number.isdecimal() or int(number) >= len(self._bands):
            self.form.add_error(None, problem.message)
            return
        row = self._bands[int(number)].row_of(rest)
        usual = "meter" if rest[:1] == ["rates"] else "percent_off"
        name = rest[-1] if rest and rest[-1] in row.fields else usual
        is_missing = name in ("per", "meter", "unit_price") and not row[name].value()
        row.add_error(name, _MISSING[name] if is_missing else problem.message)


class _Band:
    """What rows say of one volume, and which row says what."""

    def __init__(self, over: Decimal, row: TermForm) -> None:
        self._over = over
        self._row = row
        self._percent = ""
        self._rates: list[TermForm] = []

    @property
    def body(self) -> Body:
        percent = {"percent_off": self._percent} if self._percent else {}
        return {"over": as_text(self._over), **percent, "rates": [row.rate() for row in self._rates]}

    def take(self, row: TermForm) -> None:
        said = row.cleaned_data
        if said["meter"] or said["unit_price"]:
            self._rates.append(row)
        if said["percent_off"] and self._percent:
            row.add_error("percent_off", "This volume has a percentage already.")
        elif said["percent_off"]:
            self._percent, self._row = said["percent_off"], row

    def row_of(self, path: Sequence[str]) -> TermForm:
        """The row that a problem of the band is about: ``rates``, n, a field; or a field of its own."""
        is_rate = len(path) > 1 and path[0] == "rates" and path[1].isdecimal()
        return self._rates[int(path[1])] if is_rate and int(path[1]) < len(self._rates) else self._row


def _count(told: Mapping[str, Any]) -> int:
    number = str(told.get("terms", ""))
    return min(max(int(number), 1), MOST_ROWS) if number.isdecimal() else ROWS


def _cell(at: datetime | None) -> str:
    if at is None:
        return ""
    at = at.astimezone(UTC)
    is_day = (at.hour, at.minute, at.second) == (0, 0, 0)
    return f"{at:%Y-%m-%d}" if is_day else f"{at:%Y-%m-%dT%H:%M:%SZ}"
