"""What forms have in common that put something into a draft of the book."""

from __future__ import annotations

from typing import Any

from django import forms

from finops.accounts.forms import OurForm
from finops.core.errors import FieldProblem
from pricing.models import BookVersion, VersionStatus

DAY_HELP = "A day (its first instant in UTC), or a time such as 2027-01-01T08:00:00Z."


class IntoDraftForm(OurForm):
    """A form that says which draft it goes into: an open one, or a new one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        found = BookVersion.objects.filter(status__in=[VersionStatus.DRAFT, VersionStatus.REVIEWED])
        self.fields["draft"] = forms.TypedChoiceField(
            choices=[("", "A new draft"), *((one.pk, str(one)) for one in found.order_by("-pk"))],
            coerce=int,
            empty_value=None,
            required=False,
            label="Goes into",
        )

    @property
    def version(self) -> BookVersion | None:
        """The draft that was chosen; None for a new one."""
        return BookVersion.objects.filter(pk=self.cleaned_data["draft"] or 0).first()


def as_typed(problem: FieldProblem) -> str:
    """What is wrong, to somebody who typed it: of a time, what may be typed."""
    is_time = problem.field.replace(",", ".").rpartition(".")[2].strip() in (
        "effective_from",
        "effective_to",
        "from",
        "to",
    )
    return f"Give a day or a time. {DAY_HELP}" if is_time and problem.code == "invalid" else problem.message


def instant(cell: str) -> str | None:
    """A day as its first instant in UTC, a time as it is written; None for an empty cell."""
    if not cell:
        return None
    return cell if "T" in cell or " " in cell else f"{cell}T00:00:00Z"
