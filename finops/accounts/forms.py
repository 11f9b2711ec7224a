"""The forms of profile, people, keys and the audit log: what may be typed, not what then happens."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms

from finops.accounts.keys import GRACES, scopes_of_role
from finops.accounts.models import Role, Scope, Theme, User
from finops.accounts.permissions import BOUND_TO_TEAMS, Capability, Principal
from finops.core.errors import FinopsError

_LIVES = (("", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"))
_GRACE_LABELS = ("At once", "In 24 hours", "In 7 days")


class OurForm(forms.Form):
    """A form that also shows what the domain refuses, at the field it names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)

    def refuse(self, error: FinopsError) -> None:
        """Take over an error of the domain, so that it is shown like any other."""
        for problem in error.problems:
            self.add_error(problem.field if problem.field in self.fields else None, problem.message)
        if not error.problems:
            self.add_error(None, error.detail)


class ProfileForm(OurForm):
    """What a person sets for themselves."""

    name = forms.CharField(max_length=150, required=False, help_text="As colleagues know you.")
    theme = forms.ChoiceField(choices=Theme.choices, label="Appearance")
    shortcuts_enabled = forms.BooleanField(required=False, label="Keyboard shortcuts")

    @classmethod
    def of(cls, person: User) -> ProfileForm:
        fields = ("name", "theme", "shortcuts_enabled")
        return cls(initial={field: getattr(person, field) for field in fields})


class PersonForm(OurForm):
    """Somebody's role and teams."""

    name = forms.CharField(max_length=150, required=False)
    role = forms.ChoiceField(choices=Role.choices)
    teams = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Team leads and engineers see their teams' cost only; so does a viewer who has any.",
    )

    def __init__(self, *args: Any, teams: Iterable[str], **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        field = self.fields["teams"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(team, team) for team in teams]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("role") in BOUND_TO_TEAMS and not cleaned.get("teams") and "teams" not in self.errors:
            self.add_error("teams", "Choose at least one: without a team this role sees nothing.")
        return cleaned


class NewPersonForm(PersonForm):
    """Somebody new."""

    email = forms.EmailField(label="E-mail address", help_text="What they sign in with; it stays.")
    field_order = ("email", "name", "role", "teams")


class KeyForm(OurForm):
    """A new key, within what its maker may hand out."""

    name = forms.CharField(
        max_length=128,
        help_text="What it is for. Costs can be grouped by it, and it stays when the key is rotated.",
    )
    scopes = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple, label="It may")
    team = forms.ChoiceField(
        required=False,
        help_text="It books to this team and to no other, and sees this team's cost only.",
    )
    source = forms.CharField(
        max_length=128,
        required=False,
        help_text="Events sent with it come from this source and from no other.",
    )
    expires = forms.ChoiceField(choices=_LIVES, required=False, label="Stops working")
    # Made anew with every empty form: sending one twice cannot make two keys.
    once = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, maker: Principal, teams: Iterable[str], **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"once": uuid.uuid4(), "expires": ""})
        super().__init__(*args, **kwargs)
        scopes, team = self.fields["scopes"], self.fields["team"]
        assert isinstance(scopes, forms.MultipleChoiceField)
        assert isinstance(team, forms.ChoiceField)
        scopes.choices = [(scope.value, scope.label) for scope in scopes_of_role(maker.role or "")]
        free = maker.may(Capability.MANAGE_KEYS)
        team.required = not free
        own = [(slug, slug) for slug in teams if maker.sees(slug)]
        team.choices = [("", "Any team"), *own] if free else own

    @property
    def life(self) -> timedelta | None:
        """How long the key works; None for ever."""
        days = self.cleaned_data["expires"]
        return timedelta(days=int(days)) if days else None


class RotateForm(OurForm):
    """How long the old secret goes on working."""

    grace = forms.TypedChoiceField(
        choices=[(str(n), label) for n, label in enumerate(_GRACE_LABELS)],
        initial="1",
        coerce=lambda choice: GRACES[int(choice)],
        label="The old key stops working",
        help_text="Time to put the new one in place everywhere. You can revoke the old one at any moment.",
    )


class AuditFilter(OurForm):
    """The query string of the audit log; absent means all."""

    actor = forms.CharField(max_length=254, required=False, label="Who")
    action = forms.CharField(max_length=64, required=False, label="What")
    kind = forms.CharField(
        max_length=64, required=False, label="On what", widget=forms.TextInput(attrs={"list": "kinds"})
    )
    subject = forms.CharField(max_length=256, required=False, label="Which")
    since = forms.DateField(
        required=False, label="From", widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )
    until = forms.DateField(
        required=False, label="To", widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "field"
            if isinstance(field, forms.CharField):
                field.widget.attrs["size"] = 14

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", "Must not be before the first day.")
        return cleaned


def scope_labels() -> dict[str, str]:
    """What each scope lets a key do, by its name."""
    return {scope.value: str(scope.label) for scope in Scope}
