"""Enters agreements into a draft of the book, and puts them in force where that changes nothing booked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from finops.core.errors import Conflict, FieldProblem, InvalidInput
from pricing import drafts
from pricing.changes import Changes, Terms
from pricing.diffs import diff
from pricing.in_use import usage_touched
from pricing.models import Agreement, BookVersion, VersionStatus

AGREEMENTS = "agreements"
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Entered:
    """An agreement in its version; ``waits`` says why that is not in force though it was to be."""

    agreement: Agreement
    version: BookVersion
    waits: str = ""


@transaction.atomic
def enter_agreement(
    terms: Terms,
    *,
    by: str,
    version: BookVersion | None = None,
    label: str = AGREEMENTS,
    note: str = "",
    replaces: Iterable[int] = (),
    publishes: bool = False,
) -> Entered:
    """Put an agreement into a draft; into a new one where none is given.

    ``replaces`` names agreements in force that it supersedes, or of the same draft, which it takes the place
    of. With ``publishes`` the draft is reviewed and published, unless booked usage would be priced otherwise
    or something else stands in the way: then it stays a draft, and the answer says why. Raises InvalidInput
    for what it replaces and where nothing decides between two agreements, Conflict where the draft is none.
    """
    version = version or drafts.start(label=label, by=by, note=note)
    ended, withdrawn = _replaced(version, list(replaces))
    changes = Changes(agreements=[terms], ended={Agreement: ended})
    drafts.write(version, changes, withdrawn=withdrawn, by=by)
    waits = _publish(version, by) if publishes else ""
    return Entered(terms[0], BookVersion.objects.get(pk=version.pk), waits)


def _replaced(version: BookVersion, numbers: list[int]) -> tuple[list[int], list[int]]:
    """Those in force, and those of the draft itself."""
    published = Agreement.objects.filter(
        pk__in=numbers, superseded_by=None, version__status=VersionStatus.PUBLISHED
    )
    ended = list(published.values_list("pk", flat=True))
    own = list(Agreement.objects.filter(pk__in=numbers, version=version).values_list("pk", flat=True))
    if unknown := sorted(set(numbers) - {*ended, *own}):
        problems = [
            FieldProblem("replaces", "unknown", f"There is no agreement {number} in force.")
            for number in unknown
        ]
        raise InvalidInput(problems[0].message, problems)
    return ended, own


def _publish(version: BookVersion, by: str) -> str:
    """Put a draft in force; or why it is not."""
    version.refresh_from_db()
    if touched := usage_touched(version, diff(version)):
        more = f" and {len(touched) - _MOST_NAMED} more" if len(touched) > _MOST_NAMED else ""
        return (
            f"Booked usage would be priced otherwise ({', '.join(touched[:_MOST_NAMED])}{more}). It waits in"
            f" draft {version.pk}: acknowledge what is found there, review it, and preview and approve"
            f' a re-rating (POST /api/v1/reratings {{"version": {version.pk}}}), which publishes it.'
        )
    try:
        with transaction.atomic():
            drafts.publish_untouching(drafts.review(version, by=by), by=by)
    except Conflict as error:
        return f"{error.detail} It waits in draft {version.pk}."
    return ""
