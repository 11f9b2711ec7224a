"""The forms of commitments, credits and taxes; what is typed is read as the API reads it."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.forms import BoundField
from django.utils import timezone

from attribution.models import Team
from finops.accounts.forms import OurForm
from finops.core.periods import local_day
from pricing.models import AttributeTo, Commitment, CommitmentKind, Credit, CreditKind, Tax, Term
from pricing.term_bodies import body_of

Json = dict[str, Any]  # Any: JSON
Headings = tuple[tuple[str, tuple[str, ...]], ...]
_ABOUT = ("name", "kind", "provider", "model", "account")
_DAYS = ("starts_on", "ends_on")
_RESTS_ON = ("What it rests on", ("source", "note"))
_STATES = (("", "That hold today"), ("later", "That start later"), ("over", "That are over"), ("any", "All"))
_BEARERS = [choice for choice in AttributeTo.choices if choice[0] != AttributeTo.USE]


def _day(label: str, **said: Any) -> forms.DateField:  # Any: Django's arguments
    return forms.DateField(label=label, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"), **said)


def _amount(label: str = "Amount", **said: Any) -> forms.CharField:  # Any: Django's arguments
    return forms.CharField(
        label=label, max_length=40, widget=forms.TextInput({"inputmode": "decimal"}), **said
    )


class TermForm(OurForm):
    """What is said of any term."""

    headings: ClassVar[Headings] = ()

    name = forms.CharField(max_length=128, help_text="As in the contract or on the invoice.")
    provider = forms.CharField(max_length=64)
    model = forms.CharField(
        max_length=256, required=False, help_text="A name, or a pattern with * and ?. Empty: all of them."
    )
    account = forms.CharField(
        max_length=128, required=False, help_text="The account that is billed. Empty: every one."
    )
    starts_on = _day("From", help_text="The first day.")
    ends_on = _day("To", help_text="The first day without it.")
    currency = forms.CharField(
        max_length=3,
        initial="USD",
        help_text="Of the amounts. They are converted once, by the booked rate of the month it starts in.",
    )
    team = forms.ChoiceField(required=False)
    source = forms.CharField(max_length=2_000, required=False, help_text="Where it can be looked up.")
    note = forms.CharField(max_length=2_000, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        field = self.fields["team"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "None"), *Team.objects.values_list("slug", "name")]

    @property
    def groups(self) -> list[tuple[str, list[BoundField]]]:
        """The fields under their headings."""
        return [(heading, [self[name] for name in names]) for heading, names in self.headings]

    def body(self) -> Json:
        """What is said, as the API is told of it; what was left empty is not said."""
        said = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return {name: str(value) for name, value in said.items()}

    @classmethod
    def initial_of(cls, term: Term) -> Json:
        """The form as it was filled in when this was entered."""
        body = body_of(term)
        if body["model"] == "*":
            del body["model"]
        return body


class CommitmentForm(TermForm):
    kind = forms.ChoiceField(
        choices=[(kind, label.split(":")[0]) for kind, label in CommitmentKind.choices],
        help_text="Prepaid spend is drawn down by usage at contracted prices; capacity is paid by its hours.",
    )
    host = forms.CharField(max_length=64, required=False, help_text="Such as azure. Empty: every one.")
    amount = _amount(
        "Paid in advance", required=False, help_text="Billed on the first day. Prepaid spend needs it."
    )
    credit = _amount(
        "Usage that it buys",
        required=False,
        help_text="At contracted prices. Empty: as much as is paid.",
    )
    hourly_price = _amount(
        "Price of an hour", required=False, help_text="Of one unit, where there are units."
    )
    units = forms.CharField(max_length=9, required=False, help_text="How many were bought.")
    capacity_per_hour = _amount(
        "Tokens an hour",
        required=False,
        help_text="In total. Empty: not known, and all use it is about is covered.",
    )
    attribute_unused_to = forms.ChoiceField(choices=AttributeTo.choices, label="The unused part falls on")
    headings = (
        ("What was bought", (*_ABOUT, "host")),
        ("When, and for how much", (*_DAYS, "amount", "currency")),
        ("Prepaid spend", ("credit",)),
        ("Capacity", ("hourly_price", "units", "capacity_per_hour")),
        ("What is left unused", ("attribute_unused_to", "team")),
        _RESTS_ON,
    )


class CreditForm(TermForm):
    kind = forms.ChoiceField(
        choices=[(CreditKind.GRANT, "Grant"), (CreditKind.REFUND, "Refund")],
        help_text="A grant pays for usage until it is used up; a refund is given back at once.",
    )
    amount = _amount()
    attribute_to = forms.ChoiceField(
        choices=[("", "As its kind has it"), *_BEARERS],
        required=False,
        label="A refund goes to",
        help_text="A grant goes to those whose usage it pays for.",
    )
    headings = (
        ("What was granted or given back", _ABOUT),
        ("When, and how much", (*_DAYS, "amount", "currency")),
        ("Whose it is", ("attribute_to", "team")),
        _RESTS_ON,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        self.fields["ends_on"].required = False
        self.fields["ends_on"].help_text = "The first day without it. A refund needs none."

    @classmethod
    def initial_of(cls, term: Term) -> Json:
        return _without_use(super().initial_of(term))


class TaxForm(TermForm):
    percent = _amount("Per cent of the bill", required=False, help_text="Of usage, commitments and credits.")
    amount = _amount("Or an amount", required=False, help_text="Of one invoice; booked on the first day.")
    attribute_to = forms.ChoiceField(
        choices=[("", "As its kind has it"), *_BEARERS],
        required=False,
        label="An amount falls on",
        help_text="A percentage falls on those whose charges it is on.",
    )
    headings = (
        ("What is levied on", ("name", "provider", "model", "account")),
        ("When, and how much", (*_DAYS, "percent", "amount", "currency")),
        ("Whom it falls on", ("attribute_to", "team")),
        _RESTS_ON,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        self.fields["ends_on"].required = False
        self.fields["ends_on"].help_text = "The first day without it. An amount needs none."

    @classmethod
    def initial_of(cls, term: Term) -> Json:
        return _without_use(super().initial_of(term))


class EndForm(OurForm):
    """An earlier end."""

    ends_on = _day("It ends on", help_text="The first day without it.")


class WithdrawForm(OurForm):
    """A mistake, taken back."""

    reason = forms.CharField(max_length=2_000, help_text="It is in the audit log for good.")


class TermFilter(OurForm):
    """The query string of a list; absent means all that hold today."""

    provider = forms.ChoiceField(required=False)
    q = forms.CharField(max_length=128, required=False)
    state = forms.ChoiceField(choices=_STATES, required=False)

    def __init__(self, *args: Any, kind: type[Commitment | Credit | Tax], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rows = kind.objects.known().order_by("provider", "starts_on", "pk")
        known = self._rows.order_by("provider").values_list("provider", flat=True).distinct()
        field = self.fields["provider"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Any provider"), *((name, name) for name in known)]
        for one in self.fields.values():
            one.widget.attrs["class"] = "field"

    def found(self) -> QuerySet[Any]:
        """What is asked for, as it is known now."""
        told = self.cleaned_data if self.is_valid() else {}
        found, today = self._rows, local_day(timezone.now(), settings.REPORTING_TIME_ZONE)
        if told.get("provider"):
            found = found.filter(provider=told["provider"])
        if words := str(told.get("q") or "").strip():
            found = found.filter(name__icontains=words)
        match told.get("state"):
            case "later":
                return found.filter(starts_on__gt=today)
            case "over":
                return found.filter(ends_on__lte=today)
            case "any":
                return found
        return found.on(today)


def _without_use(body: Json) -> Json:
    """Whom it falls on is said where that is a choice; by use it falls of itself."""
    return {name: value for name, value in body.items() if (name, value) != ("attribute_to", AttributeTo.USE)}
