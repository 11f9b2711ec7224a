"""Forms of Ownership: a new name, another name, a move from a day on."""

from __future__ import annotations

from typing import Any

from django import forms

from attribution.models import BusinessUnit, CostCentre
from attribution.registry import LONGEST_NAME, LONGEST_SLUG
from attribution.views.ownership_kinds import Kind, nothing
from finops.accounts.forms import OurForm

_SLUG_HELP = {
    "team": "What events and keys say. Calls that named it before become its own.",
    "cost-centre": "Its number or code, as finance books to it.",
    "feature": "What events say.",
    "tier": "What events say.",
}
_DAY_HELP = "Costs from the start of this reporting day on move, earlier ones stay. Empty: since ever."


class NameForm(OurForm):
    """What people read."""

    name = forms.CharField(max_length=LONGEST_NAME, help_text="What people read. The slug stays.")


class MoveForm(OurForm):
    """Where something belongs, from which day on."""

    target = forms.ChoiceField(required=False)
    effective_from = forms.DateField(
        label="From",
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text=_DAY_HELP,
    )
    # The last change that was known when the form was shown: a later one of somebody else's is told.
    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)
    # What was said when the move was previewed: only that is saved.
    previewed = forms.CharField(widget=forms.HiddenInput, required=False, strip=False)

    def __init__(self, *args: Any, kind: Kind, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        _offer_targets(self, kind)

    @property
    def said(self) -> str:
        """The move as one text, to tell whether it is the one that was previewed."""
        return f"{self.cleaned_data['effective_from'] or ''} {self.cleaned_data['target']}"

    @property
    def is_previewed(self) -> bool:
        return bool(self.cleaned_data["previewed"] == self.said)

    @property
    def target_or_none(self) -> str | None:
        return self.cleaned_data["target"] or None


class NewForm(OurForm):
    """Something new, and where it belongs at once."""

    slug = forms.CharField(max_length=LONGEST_SLUG, strip=False, help_text="It never changes.")
    name = forms.CharField(max_length=LONGEST_NAME, required=False, help_text="What people read.")
    target = forms.ChoiceField(required=False)
    effective_from = forms.DateField(
        label="From",
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text=_DAY_HELP,
    )

    def __init__(self, *args: Any, kind: Kind, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        if kind.slug in _SLUG_HELP:
            self.fields["slug"].help_text = f"{_SLUG_HELP[kind.slug]} It never changes."
        if kind.placing:
            _offer_targets(self, kind)
        else:
            del self.fields["target"], self.fields["effective_from"]

    @property
    def target_or_none(self) -> str | None:
        return self.cleaned_data.get("target") or None


def _offer_targets(form: forms.Form, kind: Kind) -> None:
    """One query: whatever this kind can belong to, or to nothing."""
    assert kind.placing is not None
    field = form.fields["target"]
    assert isinstance(field, forms.ChoiceField)
    field.label = kind.placing.label
    rows = kind.placing.target._default_manager.all()
    field.choices = [("", nothing(kind)), *((row.slug, _title(row)) for row in rows)]


def _title(row: Any) -> str:  # Any: models that share slug and name, not a base class
    slug, name = str(row.slug), str(row.name)
    if name == slug:
        return slug
    return f"{slug} {name}" if isinstance(row, CostCentre | BusinessUnit) else f"{name} ({slug})"
