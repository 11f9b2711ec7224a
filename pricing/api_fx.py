"""``/api/v1/fx_rates``: the booked rates of exchange."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.errors import FieldProblem, InvalidInput
from finops.core.shapes import problem_answers
from pricing.models import FxRate
from pricing.rate_bodies import MOST_RATES, FxRateBody, MonthField, book_all, read_rates
from pricing.shapes import InstantField
from pricing.term_shapes import FxRateShape, Json


class FxQuery(serializers.Serializer[Json]):
    """Which rates to list."""

    currency = serializers.CharField(required=False, max_length=3)
    to = MonthField(required=False, help_text="Months before this one.")
    as_of = InstantField(required=False, help_text="As they were known at this time; now, if left out.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        first = MonthField(required=False, help_text="Months from this one on, as 2026-10.")
        return {**super().get_fields(), "from": first}


class FxRatesListed(serializers.Serializer[Json]):
    rates = FxRateBody(many=True, help_text=f"At most {MOST_RATES:,}.")


class FxRatesBooked(serializers.Serializer[Json]):
    """The rates as they are known now, in the order in which they were sent."""

    rates = FxRateShape(many=True)
    booked = serializers.IntegerField(help_text="How many of them were not known like that before.")


class RatePage(CursorPagination):
    """By month, the oldest first."""

    page_size = 100
    max_page_size = 1_000
    page_size_query_param = "limit"
    ordering = ("month", "currency", "id")


class FxRates(ListAPIView[FxRate]):
    """Rates of exchange."""

    permission_classes = (requires(read="read", write=Capability.EDIT_PRICES),)
    serializer_class = FxRateShape
    pagination_class = RatePage
    queryset = FxRate.objects.none()

    @extend_schema(
        operation_id="fx_rates_list",
        parameters=[FxQuery],
        responses={200: FxRateShape(many=True), **problem_answers(400, 401, 403, 429)},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List booked rates as they are known now, or were known at a time."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[FxRate]:
        asked = FxQuery(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        found = FxRate.objects.known(wanted.get("as_of"))
        if "currency" in wanted:
            found = found.filter(currency=wanted["currency"].upper())
        if "from" in wanted:
            found = found.filter(month__gte=wanted["from"])
        return found.filter(month__lt=wanted["to"]) if "to" in wanted else found

    @extend_schema(
        operation_id="fx_rates_book",
        request=PolymorphicProxySerializer(
            component_name="FxRatesBody",
            serializers=[FxRateBody, FxRatesListed],
            resource_type_field_name=None,
        ),
        responses={
            201: OpenApiResponse(FxRatesBooked, description="All are booked, or were already."),
            **problem_answers(400, 401, 403, 409, 422, 429),
        },
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Book the rate of a month, or several: all of them or none.

        The rate of a month that is over is booked once: another is refused (409). One of the current month
        or a later one is replaced, and the answer as of a time before does not change.
        """
        bodies, places = _listed(request.data)
        done = book_all(read_rates(bodies, places), places, by=principal_of(request).label)
        body = {
            "rates": [FxRateShape(rate).data for rate, _ in done],
            "booked": sum(changed for _, changed in done),
        }
        return Response(body, status.HTTP_201_CREATED)


def _listed(body: Any) -> tuple[list[object], list[str]]:  # Any: JSON
    if not isinstance(body, dict):
        raise InvalidInput.field("body", "invalid", "Send a JSON object.")
    if "rates" not in body:
        return [body], [""]
    listed = body["rates"]
    if strange := [name for name in body if name != "rates"]:
        problems = [FieldProblem(name, "unknown", "There is no such field beside rates.") for name in strange]
        raise InvalidInput(problems[0].message, problems)
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_RATES:
        raise InvalidInput.field("rates", "invalid", f"Give a list of 1 to {MOST_RATES:,} rates.")
    return listed, [f"rates.{number}" for number in range(len(listed))]
