"""Forms of Imports: the file, and how it is to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from attribution.imports import options_of
from attribution.ingest.formats import FORMATS
from attribution.ingest.layout import Layout
from attribution.ingest.schema import Event, Usage
from attribution.models import DataImport
from finops.accounts.forms import OurForm
from finops.core.errors import FinopsError, InvalidInput

_TITLES = tuple((name, form.title) for name, form in FORMATS.items())
_NESTED = ("usage", "raw_usage", "tags", "reported_cost")
_FIELDS = (
    *(f"usage.{name}" for name in Usage.__struct_fields__ if name != "units"),
    *(name for name in Event.__struct_fields__ if name not in _NESTED),
    "reported_cost.amount",
    "reported_cost.currency",
)
_LONGEST = 10_000


class UploadForm(OurForm):
    """A file and its kind."""

    file = forms.FileField(help_text="Plain, gzip or zstd. You see its rows before anything is booked.")
    file_format = forms.ChoiceField(choices=_TITLES, label="Format")


class LayoutForm(OurForm):
    """How the file is to be read."""

    file_format = forms.ChoiceField(choices=_TITLES, label="Format")
    source = forms.CharField(
        max_length=128, required=False, help_text="Of rows that name none. Empty: the format's own."
    )
    constants = forms.CharField(
        max_length=_LONGEST,
        required=False,
        label="The same in every row",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="One a line, such as provider=openai or team=search. It wins over the file.",
    )
    assume_utc = forms.BooleanField(required=False, label="Times without an offset are UTC")

    def __init__(self, *args: Any, columns: Sequence[str], **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        self._columns = columns
        for place, column in enumerate(columns):
            own = [("", "as it is called"), *((name, name) for name in _FIELDS)]
            self.fields[f"column-{place}"] = forms.ChoiceField(
                choices=[*own, (f"tags.{column.lower()}", f"a tag, {column.lower()}")],
                required=False,
                label=column,
            )

    @classmethod
    def of(cls, chosen: DataImport, columns: Sequence[str]) -> LayoutForm:
        """As the draft has it."""
        options = chosen.options
        field_of = {column: field for field, column in options.get("columns", {}).items()}
        initial = {
            "file_format": chosen.file_format,
            "source": options.get("source", ""),
            "constants": "\n".join(f"{name}={value}" for name, value in options.get("constants", {}).items()),
            "assume_utc": options.get("assume_utc", False),
            **{f"column-{place}": field_of.get(column, "") for place, column in enumerate(columns)},
        }
        return cls(columns=columns, initial=initial)

    @property
    def column_fields(self) -> list[forms.BoundField]:
        """What each column is."""
        return [self[f"column-{place}"] for place in range(len(self._columns))]

    def clean_constants(self) -> dict[str, str]:
        """Field and value of each line."""
        found = {}
        for line in filter(None, map(str.strip, self.cleaned_data["constants"].splitlines())):
            name, separator, value = line.partition("=")
            if not (name.strip() and separator and value.strip()):
                raise forms.ValidationError(f"“{line[:80]}” is not field=value.")
            found[name.strip()] = value.strip()
        return found

    def clean(self) -> dict[str, Any]:
        """The whole, as an import remembers it, under ``options``."""
        told = super().clean() or self.cleaned_data
        columns: dict[str, str] = {}
        for place, column in enumerate(self._columns):
            field = told.get(f"column-{place}")
            if field and field in columns:
                self.add_error(f"column-{place}", f"{columns[field]} is {field} already.")
            elif field:
                columns[field] = column
        try:
            layout = Layout(columns, told.get("constants", {}), bool(told.get("assume_utc")))
        except InvalidInput as error:
            self.add_error("constants", error.detail)
        else:
            told["options"] = options_of(layout, told.get("source"))
        return told

    def refuse(self, error: FinopsError) -> None:
        """What is wrong is wrong with the file as it is read now."""
        self.add_error(None, error.detail)
