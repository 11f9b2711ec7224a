"""Forms of Governance, and how people write down which calls a rule asks about."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django import forms
from django.db.models import QuerySet

from attribution import contracts, organisation
from attribution.allocation_keys import LEAST_VALUES, MOST_VALUES
from attribution.models import ContractMode, Feature, SourceContract, Team, Tier
from attribution.tag_names import declared, name_of
from attribution.tagging import Saying, fields_asked_about
from attribution.tagging_changes import LONGEST_NAME
from finops.accounts.forms import OurForm

EMPTY = "(empty)"
_KEY = re.compile(r"\s*(?P<key>[\w.-]+)\s*[:=]\s*(?P<rest>.*?)\s*")
_TAG = re.compile(r"""(?P<key>[\w.-]+)\s*[:=]\s*(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s,;]*))""")
_DAY = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


def read_lines(text: str) -> dict[str, list[str]]:
    """``key: one, two`` a line. Raises ValidationError, naming the line."""
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        told = _KEY.fullmatch(line)
        if told is None:
            raise forms.ValidationError(f"Line {number}: write it as feature: chat, chat-*")
        values = [value.strip() for value in told["rest"].split(",")]
        found.setdefault(told["key"], []).extend("" if value == EMPTY else value for value in values if value)
    return found


def written(said: Mapping[str, Sequence[str]]) -> str:
    """The other way round."""
    return "\n".join(f"{key}: {', '.join(value or EMPTY for value in said[key])}" for key in said)


def read_tags(text: str) -> dict[str, str]:
    """Tags as people paste them: ``team=search tags.project=x``, one a line, or a JSON object."""
    if text.lstrip().startswith("{"):
        try:
            told = json.loads(text)
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from None
        free = told.pop("tags", None)
        if isinstance(free, dict):
            told |= {name_of(key): value for key, value in free.items()}
        pairs = {str(key): value for key, value in told.items() if value is not None}
        if strange := [key for key, value in pairs.items() if not isinstance(value, str)]:
            raise forms.ValidationError(f"{strange[0]} is no text.")
    else:
        pairs = {one["key"]: one["quoted"] or one["plain"] or "" for one in _TAG.finditer(text)}
        if text.strip() and not pairs:
            raise forms.ValidationError("Write tags as team=search feature=chat.")
    named = {key.removeprefix("finops."): value for key, value in pairs.items()}
    fields = fields_asked_about()
    if unknown := sorted(named.keys() - set(fields)):
        message = f"Rules do not look at {', '.join(unknown)}. They look at {', '.join(fields)}."
        raise forms.ValidationError(message)
    if any(not value.isprintable() for value in named.values()):
        raise forms.ValidationError("Control characters are not allowed.")
    return named


class RuleForm(OurForm):
    """What a rule says, and from which day on."""

    name = forms.CharField(max_length=LONGEST_NAME, help_text="Shown with every cost it decides.")
    match = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        label="Which calls",
        help_text=(
            f"One field a line, such as feature: chat, chat-* and environment: prod. All lines must hold; "
            f"x* starts with x, * is anything, {EMPTY} is not given."
        ),
    )
    team = forms.ChoiceField(required=False, label="Set the team")
    feature = forms.ChoiceField(required=False, label="Set the feature")
    tier = forms.ChoiceField(required=False, label="Set the tier")
    only_missing = forms.BooleanField(
        required=False,
        initial=True,
        label="Only where the call does not say it",
        help_text="Otherwise the rule overrides what calls say.",
    )
    position = forms.IntegerField(
        required=False,
        min_value=1,
        label="Place",
        help_text="1 is asked first. Empty: the last, or as it is.",
    )
    effective_from = forms.DateField(
        label="From",
        required=False,
        widget=_DAY,
        help_text="Costs from the start of this reporting day on follow it. Empty: since ever.",
    )
    # What was said when it was previewed: only that is saved.
    previewed = forms.CharField(widget=forms.HiddenInput, required=False, strip=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        self.fields["match"].help_text += f" Fields: {', '.join(fields_asked_about())}."
        for name, model in (("team", Team), ("feature", Feature), ("tier", Tier)):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = _choices(model._default_manager.all())

    def clean_match(self) -> dict[str, list[str]]:
        """As the rules have it."""
        return read_lines(self.cleaned_data["match"])

    @property
    def saying(self) -> Saying:
        told = self.cleaned_data
        sets = {name: told[name] for name in ("team", "feature", "tier") if told[name]}
        return Saying(match=told["match"], sets=sets, only_missing=told["only_missing"])

    @property
    def day(self) -> date | None:
        day: date | None = self.cleaned_data["effective_from"]
        return day

    @property
    def said(self) -> str:
        """The rule as one text, to tell whether it is the one that was previewed."""
        told = self.cleaned_data
        return json.dumps([told["name"], self.saying.as_json(), told["position"], str(self.day or "")])

    @property
    def is_previewed(self) -> bool:
        return bool(self.cleaned_data["previewed"] == self.said)

    def refuse(self, error: Any) -> None:  # Any: FinopsError, as OurForm has it
        """The domain names parts of fields, as the API has them."""
        for problem in error.problems:
            name = problem.field.removeprefix("set.").partition(".")[0]
            self.add_error(name if name in self.fields else None, problem.message)
        if not error.problems:
            self.add_error(None, error.detail)


class TrialForm(OurForm):
    """Tags to try, and the day."""

    tags = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="As a call says them: source=web feature=chat, one a line, or a JSON object.",
    )
    day = forms.DateField(required=False, widget=_DAY, help_text="A reporting day. Empty: today.")

    def clean_tags(self) -> dict[str, str]:
        """By field."""
        return read_tags(self.cleaned_data["tags"])

    @property
    def on(self) -> date:
        return self.cleaned_data["day"] or organisation.today()


class ContractForm(OurForm):
    """What a source must say."""

    source = forms.CharField(max_length=contracts.LONGEST, help_text="As its events name it.")
    owner = forms.CharField(max_length=254, required=False, help_text="Whom to ask about its events.")
    account = forms.CharField(
        max_length=contracts.LONGEST,
        required=False,
        label="Account that is billed",
        help_text="The provider's account, of calls that name none. Calls that are booked keep theirs.",
    )
    mode = forms.ChoiceField(choices=ContractMode.choices, label="An event that breaks it")
    required_keys = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="It must say",
    )
    allowed = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        label="Allowed values",
        help_text="One key a line: environment: prod, staging. Other keys may say anything.",
    )
    aliases = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        label="Other spellings",
        help_text="One a line: feature: Chat-Bot = chat. In upper or lower case alike.",
    )
    teams = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Teams it may claim",
        help_text="None chosen: any. An event that claims another is always refused.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        keys = self.fields["required_keys"]
        assert isinstance(keys, forms.MultipleChoiceField)
        keys.choices = [(key, key) for key in (*contracts.KEYS, *declared())]
        field = self.fields["teams"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(slug, slug) for slug in Team.objects.values_list("slug", flat=True)]

    @staticmethod
    def initial_of(contract: SourceContract) -> dict[str, Any]:
        """What the form starts with."""
        pairs = contract.aliases.items()
        return {
            "source": contract.source,
            "owner": contract.owner,
            "account": contract.account,
            "mode": contract.mode,
            "required_keys": contract.required,
            "allowed": written(contract.allowed),
            "aliases": "\n".join(
                f"{key}: {sent} = {kept}" for key, told in pairs for sent, kept in told.items()
            ),
            "teams": contract.teams,
        }

    def clean_allowed(self) -> dict[str, list[str]]:
        """By key."""
        return read_lines(self.cleaned_data["allowed"])

    def clean_aliases(self) -> dict[str, dict[str, str]]:
        """By key, what is sent and what it is kept as."""
        found: dict[str, dict[str, str]] = {}
        for key, values in read_lines(self.cleaned_data["aliases"]).items():
            for value in values:
                sent, equals, kept = value.partition("=")
                if not equals or not sent.strip() or not kept.strip():
                    raise forms.ValidationError(f"{key}: write it as Chat-Bot = chat.")
                found.setdefault(key, {})[sent.strip()] = kept.strip()
        return found

    def refuse(self, error: Any) -> None:  # Any: FinopsError, as OurForm has it
        """The domain calls one field otherwise."""
        for problem in error.problems:
            name = "required_keys" if problem.field == "required" else problem.field
            self.add_error(name if name in self.fields else None, problem.message)
        if not error.problems:
            self.add_error(None, error.detail)


class LimitForm(OurForm):
    """How many values of an allocation key are kept."""

    most_values = forms.IntegerField(
        min_value=LEAST_VALUES,
        max_value=MOST_VALUES,
        label="Values kept of each source",
        help_text="Further ones are booked as “(other)”, with a warning; the calls keep what they said.",
    )


class KeyForm(LimitForm):
    """A tag key to allocate costs by."""

    key = forms.CharField(
        max_length=64,
        label="Tag key",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
        help_text="As calls say it, such as project or cost_code.",
    )
    field_order = ("key", "most_values")


def _choices(rows: QuerySet[Any]) -> list[tuple[str, str]]:  # Any: three models
    return [("", "Leave it"), *((row.slug, _title(row)) for row in rows)]


def _title(row: Any) -> str:  # Any: as above
    slug, name = str(row.slug), str(row.name)
    return slug if name == slug else f"{name} ({slug})"
