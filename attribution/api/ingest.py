"""``POST /api/v1/events``: a plain view, because every microsecond of it is paid for each event."""

from __future__ import annotations

from http import HTTPStatus

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
from attribution.ingest.native import parse
from attribution.ingest.spooled_events import take_in_or_spool
from finops.accounts.authentication import Unauthenticated, authenticate_key
from finops.accounts.models import ApiKey, Scope
from finops.core.errors import FinopsError, NotAllowed
from finops.core.problems import problem_response
from finops.core.shapes import Problem

_encode = msgspec.json.Encoder().encode


@csrf_exempt
def post_events(request: HttpRequest) -> HttpResponse:
    """Take in a batch of events; 200 says that what it counts as accepted is durable.

    So is what 202 counts as spooled: the database is away, and it is on this host's disk.
    """
    try:
        sender = Sender.of(ingest_key(request.META.get("HTTP_AUTHORIZATION", "")))
        arrivals = parse(read_body(request), request.META.get("CONTENT_TYPE", ""))
        outcome = take_in_or_spool(arrivals, sender)
    except FinopsError as error:
        return problem_response(error)
    counters.count(outcome)
    status = HTTPStatus.ACCEPTED if outcome.spooled else HTTPStatus.OK
    return HttpResponse(_encode(outcome.as_dict()), status=status, content_type="application/json")


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
            **{(status, "application/problem+json"): Problem for status in (400, 401, 403, 413, 415, 503)},
        },
    )
    def post(self, request: Request) -> Response:
        """Never called: ``attribution.api.events`` answers POST with ``post_events``."""
        raise NotImplementedError
