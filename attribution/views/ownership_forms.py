"""Forms that make or move a team, a cost centre, a feature or a tier, from a day on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, ClassVar

from django import forms

from attribution.models import BusinessUnit, CostCentre, Team
from attribution.organisation import UNSAID
from finops.core.errors import FinopsError


class SubjectForm(forms.Form):
    """A slug and a name; subclasses add where it belongs and from which day."""

    slug = forms.CharField(max_length=128, help_text="What events and keys say; it never changes.")
    name = forms.CharField(max_length=200, required=False, help_text="What people read.")
    # The argument of the organisation's function that ``target`` is, and the fields problems name.
    target_argument: ClassVar[str] = ""

    def day(self) -> date | None:
        """The first day of the move; None is since ever."""
        day = self.cleaned_data.get("effective_from")
        return day if isinstance(day, date) else None

    def said(self) -> dict[str, Any]:  # Any: the arguments of one of the organisation's functions
        """What is to be done, as arguments."""
        said: dict[str, Any] = {
            "slug": self.cleaned_data["slug"],
            "name": self.cleaned_data["name"] or None,
        }
        if self.target_argument:
            said[self.target_argument] = self.cleaned_data["target"] or None
            said["effective_from"] = self.day() if self.cleaned_data["since"] == "day" else UNSAID
            if self.cleaned_data["since"] == "ever":
                said["effective_from"] = None
        return said

    def refuse(self, error: FinopsError) -> None:
        """Put a refusal beside the fields it is about."""
        named = {self.target_argument: "target", "effective_from": "effective_from"}
        for problem in error.problems:
            field = named.get(problem.field, problem.field)
            self.add_error(field if field in self.fields else None, problem.message)
        if not error.problems:
            self.add_error(None, error.detail)


class PlacedForm(SubjectForm):
    """A subject that belongs somewhere, from a day on."""

    target = forms.ChoiceField(required=False)
    since = forms.ChoiceField(
        label="From when",
        choices=[
            ("", "Today, or since ever where it is placed for the first time"),
            ("day", "From the day below"),
            ("ever", "Since ever"),
        ],
        required=False,
    )
    effective_from = forms.DateField(
        label="First day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="A reporting day. Costs from then on move at once, earlier ones stay.",
    )
    target_label: ClassVar[str] = ""
    nothing: ClassVar[str] = "None"
    choices: ClassVar[Callable[[], list[tuple[str, str]]]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: as a form takes them
        super().__init__(*args, **kwargs)
        target = self.fields["target"]
        assert isinstance(target, forms.ChoiceField)
        target.label = self.target_label
        target.choices = [("", self.nothing), *type(self).choices()]

    def clean(self) -> dict[str, Any]:  # Any: as a form gives them
        cleaned = super().clean() or {}
        if cleaned.get("since") == "day" and not cleaned.get("effective_from"):
            self.add_error("effective_from", "Say the first day.")
        return cleaned


class TeamForm(PlacedForm):
    target_argument = "cost_centre"
    target_label = "Cost centre"
    choices = staticmethod(lambda: [(one.slug, f"{one.slug} {one.name}") for one in CostCentre.objects.all()])


class CostCentreForm(PlacedForm):
    target_argument = "business_unit"
    target_label = "Business unit"
    choices = staticmethod(lambda: [(one.slug, one.name) for one in BusinessUnit.objects.all()])


class FeatureForm(PlacedForm):
    target_argument = "owner_team"
    target_label = "Owner"
    nothing = "Nobody"
    choices = staticmethod(lambda: [(one.slug, one.name) for one in Team.objects.all()])


class TierForm(SubjectForm):
    """A tier belongs to nobody; it only has a name."""
