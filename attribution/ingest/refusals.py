"""How many events broke which rule, kept in the books: who sends sees it in the answer, others here."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from django.db import InterfaceError, OperationalError, connection

from attribution.contracts import CODE
from attribution.ingest import quarantine
from attribution.ingest.native import Rejection
from finops.core import outage

_LONGEST, _LONGEST_SECONDS = 64, 5.0
_log = logging.getLogger(__name__)


def keep(rejected: Sequence[Rejection], source: str, *, api_key: str, key_team: str) -> None:
    """Count what one request's events broke, under the source of its key; list what broke a contract.

    A field is counted by its first part only, so that nobody can make up any number of them. While the
    database is away nothing is counted: what is refused was never acknowledged.
    """
    try:
        with outage.watched(_LONGEST_SECONDS):
            _keep(rejected, source, api_key, key_team)
    except (OperationalError, InterfaceError) as error:
        if connection.in_atomic_block:
            raise
        connection.close()
        outage.note_away(error)
        _log.warning("%d refusals are not counted: %s", len(rejected), error)


def _keep(rejected: Sequence[Rejection], source: str, api_key: str, key_team: str) -> None:
    against_contract = [one for one in rejected if one.problem.code == CODE]
    if against_contract:
        quarantine.keep_invalid(
            ((source, one.event_id or "", one.problem, one.said) for one in against_contract),
            api_key=api_key,
            key_team=key_team,
        )
    broken = Counter((one.problem.field.partition(".")[0], one.problem.code) for one in rejected)
    with connection.cursor() as cursor:
        # Ordered, so that two writers cannot wait for each other in a circle.
        cursor.executemany(
            "INSERT INTO attribution_refusal AS kept (day, source, field, code, events, last_at)"
            " VALUES ((now() AT TIME ZONE 'UTC')::date, %s, %s, %s, %s, now())"
            " ON CONFLICT (day, source, field, code)"
            " DO UPDATE SET events = kept.events + excluded.events, last_at = now()",
            [
                (source, field[:_LONGEST], code[:_LONGEST], number)
                for (field, code), number in sorted(broken.items())
            ],
        )
