"""What lists of the book have in common: rows in force on a day, narrowed by provider and words."""

from __future__ import annotations

import operator
from datetime import UTC, datetime, time
from functools import reduce
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from finops.accounts.forms import OurForm
from pricing.models import Versioned
from pricing.models.versions import VersionedQuerySet

_WHEN = (("", "In force on the day"), ("later", "From a later day"), ("any", "At any time"))


class InForceForm(OurForm):
    """The query string; absent means all that is in force today."""

    rows: ClassVar[type[Versioned]]
    searched: ClassVar[tuple[str, ...]]

    provider = forms.ChoiceField(required=False)
    q = forms.CharField(max_length=256, required=False)
    when = forms.ChoiceField(choices=_WHEN, required=False)
    on = forms.DateField(
        required=False, label="Day", widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        known = self.rows.objects.known().order_by("provider").values_list("provider", flat=True).distinct()
        field = self.fields["provider"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Any provider"), *((name, name) for name in known)]
        for one in self.fields.values():
            one.widget.attrs["class"] = "field"

    @property
    def at(self) -> datetime:
        """The first instant of the day that is asked for, in UTC; now unless one is."""
        day = self.cleaned_data.get("on") if self.is_valid() else None
        return datetime.combine(day, time(), UTC) if day else timezone.now()

    def found(self) -> VersionedQuerySet:
        """What is asked for, as it is known now."""
        told = self.cleaned_data if self.is_valid() else {}
        found = self.rows.objects.known()
        if told.get("provider"):
            found = found.filter(provider=told["provider"])
        if words := str(told.get("q") or "").strip():
            found = found.filter(self._mentions(words))
        if told.get("when") == "later":
            return found.filter(effective_from__gt=self.at)
        return found if told.get("when") == "any" else found.effective(self.at)

    def _mentions(self, words: str) -> Q:
        return reduce(operator.or_, (Q(**{f"{field}__icontains": words}) for field in self.searched))


def filters_of(request: HttpRequest) -> str:
    """The filters of the query string without the page, in their own order."""
    names = ("provider", "q", "when", "on")
    return urlencode([(name, request.GET[name]) for name in names if request.GET.get(name)])
