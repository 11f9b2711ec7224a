"""``POST /v1/traces``: OTLP over HTTP, protobuf and JSON, as every OpenTelemetry exporter speaks it.

Also where the Langfuse SDK sends its spans, with its own kind of credentials.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from attribution.api.ingest import ingest_key
from attribution.ingest import counters
from attribution.ingest.bodies import read_body
from attribution.ingest.intake import Sender
from attribution.ingest.otlp.holding import Held, hold
from attribution.ingest.otlp.mapping import current_spellings
from attribution.ingest.otlp.wire import PROTOBUF, media_of, spans_of
from finops.core.errors import FinopsError
from finops.core.problems import problem_response

_MOST_NAMED = 5


@csrf_exempt
def traces(request: HttpRequest) -> HttpResponse:
    """Hold the spans of a request; 200 says that they are durable, and how many are not taken."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        sender = Sender.of(ingest_key(_authorization(request)))
        media = media_of(request.META.get("CONTENT_TYPE", ""))
        held = hold(spans_of(read_body(request), media), sender, current_spellings())
    except FinopsError as error:
        return problem_response(error)
    counters.count_spans(held)
    return _answer(held, media)


def _authorization(request: HttpRequest) -> str:
    """A key as Bearer; or as the password of Basic, which is what Langfuse's SDK makes of its secret key."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return str(header)
    try:
        _, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        password = ""
    return f"Bearer {password}"


def _answer(held: Held, media: str) -> HttpResponse:
    """OTLP's partial success: absent when every call was taken."""
    message = "; ".join(
        f"{event_id}: {problem.field} {problem.code}: {problem.message}"
        for event_id, problem in held.rejected[:_MOST_NAMED]
    )
    if media == PROTOBUF:
        answer = ExportTraceServiceResponse()
        if held.rejected:
            answer.partial_success.rejected_spans = len(held.rejected)
            answer.partial_success.error_message = message
        return HttpResponse(answer.SerializeToString(), content_type=PROTOBUF)
    partial = {"rejectedSpans": str(len(held.rejected)), "errorMessage": message}
    body = {"partialSuccess": partial} if held.rejected else {}
    return HttpResponse(msgspec.json.encode(body), content_type=media)
