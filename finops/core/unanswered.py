"""The last answers: to an address that nobody has, and to a failure that nobody expected.

Programs get a problem body, whatever happens; people get a page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views import defaults

from finops.core.errors import FinopsError, InvalidInput, NotFound, Unavailable
from finops.core.problems import problem_response

_FOR_PROGRAMS = ("/api/", "/v1/")


class NullMiddleware:
    """Refuses an address with a NUL in it, which no text in PostgreSQL may hold."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\0" not in request.path_info and "%00" not in request.META.get("QUERY_STRING", ""):
            return self.get_response(request)
        if not request.path.startswith(_FOR_PROGRAMS):
            return defaults.bad_request(request, SuspiciousOperation())
        message = "An address cannot hold the character NUL."
        return problem_response(InvalidInput.field("query", "not_printable", message))


class Failed(FinopsError):
    """Our own fault; the log has the rest, under the request id of the answer."""

    code = "failed"
    status = 500
    title = "Internal server error"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, for an address without a view or a page about something that is not there."""
    if request.path.startswith(_FOR_PROGRAMS):
        return problem_response(NotFound("There is nothing at this address."))
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 for programs while the database does not answer. Django has logged the error by now."""
    if not request.path.startswith(_FOR_PROGRAMS):
        return defaults.server_error(request)
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return problem_response(Unavailable("The database is away. Send the same request again."))
    return problem_response(
        Failed("Something broke; the log says what, under the X-Request-Id of this answer.")
    )
