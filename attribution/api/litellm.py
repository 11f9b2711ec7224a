"""``POST /api/v1/ingest/litellm``: where a LiteLLM proxy sends its log, by its ``generic_api`` callback."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution.api.ingest import REFUSED, answer_batch
from attribution.api.ingest_shapes import EventsOutcome, EventsSpooled
from attribution.ingest import litellm

_PAYLOAD = {"type": "object", "description": "A StandardLoggingPayload, as LiteLLM logs it."}


def _post(request: HttpRequest) -> HttpResponse:
    """Take in what the proxy logged."""
    return answer_batch(request, litellm.parse)


class SendLiteLLM(APIView):
    """Describes the endpoint to the OpenAPI document, and refuses other methods."""

    @extend_schema(
        operation_id="send_litellm",
        summary="Send what a LiteLLM proxy logged",
        description=(
            "The body of LiteLLM's `generic_api` callback in each of its formats: an array of payloads,"
            " one a line, or a single one; gzip and zstd too. Answers like `POST /api/v1/events`."
        ),
        request={
            "application/json": {"type": "array", "items": _PAYLOAD},
            "application/x-ndjson": {"type": "string", "description": "One payload a line."},
        },
        responses={
            200: EventsOutcome,
            202: EventsSpooled,
            **REFUSED,
        },
    )
    def post(self, request: Request) -> Response:
        """Never called: ``litellm_log`` answers POST itself, without DRF's parsing of the body."""
        raise NotImplementedError


_other_methods = SendLiteLLM.as_view()


@csrf_exempt
def litellm_log(request: HttpRequest) -> HttpResponseBase:
    """Dispatch by method."""
    return _post(request) if request.method == "POST" else _other_methods(request)


# What drf-spectacular looks for on a view.
litellm_log.cls = SendLiteLLM  # type: ignore[attr-defined]
litellm_log.initkwargs = {}  # type: ignore[attr-defined]
