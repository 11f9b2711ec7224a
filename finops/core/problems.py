"""``application/problem+json`` answers (RFC 9457), for DRF views and plain ones alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from finops.core.errors import FieldProblem, FinopsError

CONTENT_TYPE = "application/problem+json"


def problem_body(
    status: int, title: str, detail: str, problems: Sequence[FieldProblem] = ()
) -> dict[str, Any]:
    """The body of a problem answer; ``errors`` is always there, empty when no field is to blame."""
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "errors": [problem.as_dict() for problem in problems],
    }


def problem_response(error: FinopsError) -> HttpResponse:
    """The answer of a plain Django view to one of our errors."""
    body = problem_body(error.status, error.title, error.detail, error.problems)
    content = msgspec.json.encode(body)
    return HttpResponse(content, status=error.status, headers=dict(error.headers), content_type=CONTENT_TYPE)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: every handled error becomes a problem body; unknown ones stay a 500."""
    if isinstance(error, FinopsError):
        body = problem_body(error.status, error.title, error.detail, error.problems)
        set_rollback()
        return Response(body, error.status, headers=dict(error.headers), content_type=CONTENT_TYPE)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    status = error.status_code
    problems = list(field_problems(error.detail)) if status == HTTPStatus.BAD_REQUEST else []
    detail = "; ".join(f"{p.field}: {p.message}" for p in problems) if problems else str(error.detail)
    body = problem_body(status, HTTPStatus(status).phrase, detail, problems)
    return Response(body, status, headers=_headers(error), content_type=CONTENT_TYPE)


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    return headers


def field_problems(detail: Any, path: str = "") -> Iterator[FieldProblem]:  # Any: DRF's nested detail
    """Every message of a validation error of DRF, under the path of the field it is about."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from field_problems(value, f"{path}.{key}" if path else str(key))
    elif isinstance(detail, list):
        for value in detail:
            yield from field_problems(value, path)
    else:
        yield FieldProblem(path or "body", getattr(detail, "code", "invalid"), str(detail))
