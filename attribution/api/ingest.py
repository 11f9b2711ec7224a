"""``POST /api/v1/events``: a plain view, because every microsecond of it is paid for each event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution.api.ingest_shapes import EventsBody, EventsOutcome, EventsSpooled
from attribution.ingest import counters
from attribution.ingest.bodies import read_body
from attribution.ingest.intake import Sender
from attribution.ingest.native import Arrivals, parse
from attribution.ingest.spooled_events import take_in_or_spool
from finops.accounts.authentication import Unauthenticated, authenticate_key
from finops.accounts.idempotency import HEADER, REPLAYED, Repetition
from finops.accounts.models import ApiKey, Scope
from finops.core.errors import FinopsError, NotAllowed
from finops.core.problems import problem_response
from finops.core.shapes import Problem

_encode = msgspec.json.Encoder().encode
# What else a batch may be answered, for the OpenAPI document.
REFUSED = {(status, "application/problem+json"): Problem for status in (400, 401, 403, 413, 415, 422, 503)}


@csrf_exempt
def post_events(request: HttpRequest) -> HttpResponse:
    """Take in a batch of events."""
    return answer_batch(request, parse)


def answer_batch(request: HttpRequest, parse_body: Callable[[bytes, str], Arrivals]) -> HttpResponse:
    """Take in what is in the body; 200 says that what it counts as accepted is durable.

    So is what 202 counts as spooled: the database is away, and it is on this host's disk.
    """
    try:
        key = ingest_key(request.META.get("HTTP_AUTHORIZATION", ""))
        body = read_body(request)
        repetition = _repetition(request, key, body)
        if repetition and (first := repetition.first_answer()):
            return _answered(*first, {REPLAYED: "true"})
        arrivals = parse_body(body, request.META.get("CONTENT_TYPE", ""))
        outcome = take_in_or_spool(arrivals, Sender.of(key))
    except FinopsError as error:
        return problem_response(error)
    counters.count(outcome)
    status, answer = HTTPStatus.ACCEPTED if outcome.spooled else HTTPStatus.OK, outcome.as_dict()
    if repetition:
        repetition.keep(status, answer)
    return _answered(status, answer)


def _repetition(request: HttpRequest, key: ApiKey, body: bytes) -> Repetition | None:
    name = request.headers.get(HEADER)
    return None if name is None else Repetition(key, name, request.path, body)


def _answered(status: int, answer: Any, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return HttpResponse(_encode(answer), status=status, content_type="application/json", headers=headers)


def ingest_key(authorization: str) -> ApiKey:
    """The key of a header, if it may send. Raises Unauthenticated or NotAllowed."""
    key = authenticate_key(authorization)
    if key is None:
        raise Unauthenticated("Send an API key as: Authorization: Bearer KEY.")
    if not key.allows(Scope.INGEST):
        raise NotAllowed(f"This needs a key with the scope ingest; this one has: {', '.join(key.scopes)}.")
    return key


class SendEvents(APIView):
    """Describes ``post_events`` to the OpenAPI document; requests go to the plain view itself."""

    @extend_schema(
        operation_id="send_events",
        summary="Send events",
        description=(
            "At most 10,000 events and 16 MiB after decompression. An array of events, newline-delimited"
            " JSON and CloudEvents (structured and batch) are taken as well; gzip and zstd bodies too."
            " One bad event never costs the others: the answer lists it under `rejected`."
        ),
        request={
            "application/json": EventsBody,
            "application/x-ndjson": {"type": "string", "description": "One event a line."},
            "application/cloudevents+json": {"type": "object", "description": "An event as `data`."},
            "application/cloudevents-batch+json": {"type": "array", "items": {"type": "object"}},
        },
        responses={
            200: EventsOutcome,
            202: EventsSpooled,
            **REFUSED,
        },
    )
    def post(self, request: Request) -> Response:
        """Never called: ``attribution.api.events`` answers POST with ``post_events``."""
        raise NotImplementedError
