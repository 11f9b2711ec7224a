"""Asks a provider's reporting API, page by page: within bounds, patient when told to wait."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http.client import HTTPException, IncompleteRead
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from finops.core.errors import FinopsError

MOST_BYTES = 64 * 1024 * 1024
MOST_PAGES = 10_000
MOST_TRIES = 5
LONGEST_WAIT = 120.0  # seconds; told to wait longer, a run ends and the next one goes on
_TIMEOUT = 60.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_log = logging.getLogger(__name__)
Json = Any  # as the provider sent it
Query = Sequence[tuple[str, str]]


class PullFailed(FinopsError):
    """A report could not be read to its end. What was read before is kept."""

    code = "pull_failed"
    status = 502
    title = "The provider's report could not be read"


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would take the admin key to another host."""

    def redirect_request(self, *_: Any) -> None:  # Any: the answer and where it points
        return None


class ReportClient:
    """One provider's API under its address. ``sleep`` takes seconds."""

    def __init__(
        self, base_url: str, headers: Mapping[str, str], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {**headers, "Accept": "application/json", "User-Agent": "llm-cost-attribution"}
        self._opener = build_opener(_NoRedirects())
        self._sleep = sleep

    def buckets(self, path: str, query: Query) -> Iterator[list[Json]]:
        """The buckets of each page in turn. Raises PullFailed."""
        page, seen = "", set[str]()
        for _ in range(MOST_PAGES):
            body = self._get(path, [*query, ("page", page)] if page else query)
            buckets = body.get("data") if isinstance(body, dict) else None
            if not isinstance(buckets, list):
                raise PullFailed(f"{path} answered no list of buckets.")
            yield buckets
            if not body.get("has_more"):
                return
            page = body.get("next_page")
            if not isinstance(page, str) or not page or page in seen:
                raise PullFailed(f"{path} says that there is more, but not where.")
            seen.add(page)
        raise PullFailed(f"{path} has more than {MOST_PAGES} pages.")

    def _get(self, path: str, query: Query) -> Json:
        request = Request(f"{self._base_url}{path}?{urlencode(query)}", headers=self._headers)  # noqa: S310
        problem = ""
        for tries in range(1, MOST_TRIES + 1):
            try:
                with self._opener.open(request, timeout=_TIMEOUT) as answer:
                    body = answer.read(MOST_BYTES + 1)
                    if len(body) <= MOST_BYTES and answer.length:
                        raise IncompleteRead(body, answer.length)
                    return _decoded(path, body)
            except HTTPError as error:
                with error:
                    problem, wait = f"{path} answered {error.code}", _told_to_wait(error)
                if error.code not in _PASSING:
                    raise PullFailed(f"{problem}.") from None
            except (URLError, HTTPException, OSError) as error:
                problem, wait = f"{path} could not be reached ({type(error).__name__})", None
            if tries < MOST_TRIES:
                pause = 2.0 ** (tries - 1) if wait is None else wait
                if pause > LONGEST_WAIT:
                    raise PullFailed(f"{problem} and asks to wait for {pause:.0f} seconds.")
                _log.info("%s, trying again in %.1f seconds", problem, pause)
                self._sleep(pause)
        raise PullFailed(f"{problem}, {MOST_TRIES} times.")


def _decoded(path: str, body: bytes) -> Json:
    if len(body) > MOST_BYTES:
        raise PullFailed(f"{path} answered more than {MOST_BYTES} bytes.")
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        raise PullFailed(f"{path} answered no JSON.") from None


def _told_to_wait(error: HTTPError) -> float | None:
    """Seconds, from a Retry-After that gives seconds or a date."""
    told = error.headers.get("Retry-After", "")
    try:
        return max(float(told), 0.0) if told.replace(".", "", 1).isdigit() else _until(told)
    except ValueError:
        return None


def _until(told: str) -> float | None:
    if not told:
        return None
    at = parsedate_to_datetime(told)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - datetime.now(UTC)).total_seconds(), 0.0)
