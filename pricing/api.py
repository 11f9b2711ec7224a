"""``/api/v1/prices/rate``: rates one call without storing anything."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.errors import InvalidInput
from finops.core.meters import Usage, inclusive
from finops.core.shapes import problem_answers
from pricing.catalogue import published_book
from pricing.facts import Facts, normalise
from pricing.models import Price
from pricing.rating import Rating, rate_usage
from pricing.raw_usage import Reading, read_usage
from pricing.shapes import RateAnswer, RateRequest

_MAY_READ = [requires(read="read")]


class RateCall(APIView):
    """What a call costs, from what it used."""

    permission_classes = _MAY_READ

    @extend_schema(
        operation_id="prices_rate",
        request=RateRequest,
        responses={
            200: OpenApiResponse(RateAnswer),
            **problem_answers(400, 401, 403, 429),
        },
    )
    def post(self, request: Request) -> Response:
        """Rate one call. Pure: nothing is stored, and the same question has the same answer.

        `partially_priced` names the meters without a price and leaves them out of the cost; `unpriced`
        has no cost at all.
        """
        asked = RateRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        call = asked.validated_data
        used = _used(call)
        facts = Facts(
            provider=call["provider"],
            model=call["model"],
            host=call["host"],
            region=used.region or call["region"],
            service_tier=used.service_tier or call["service_tier"],
            processing=call["processing"],
            speed=used.speed or call["speed"],
            from_response_cache=call.get("response_cache") == "hit",
            account=call["account"],
        )
        rating = rate_usage(
            published_book().tariff(normalise(facts)),
            at=int(call["occurred_at"].timestamp()),
            usage=used.usage,
            units=used.units,
        )
        answer: dict[str, Any] = RateAnswer(_answer(rating)).data
        may_see = principal_of(request).may(Capability.VIEW_CONTRACTED_PRICES)
        return Response(answer if may_see else _at_list(answer))


def _used(call: dict[str, Any]) -> Reading:
    """The call's usage from whichever side it was given; from both only if they say the same."""
    given = _given_usage(call) if "usage" in call else None
    if "raw_usage" not in call:
        assert given is not None
        return given
    read = read_usage(call["api_flavor"], call["raw_usage"], model=call["model"])
    if given is not None and given[:2] != read[:2]:
        raise InvalidInput.field(
            "raw_usage", "ambiguous", "usage and raw_usage say different things; give one"
        )
    return read


def _given_usage(call: dict[str, Any]) -> Reading:
    counts = dict(call["usage"])
    units: dict[str, Decimal] = {name: amount for name, amount in counts.pop("units", {}).items() if amount}
    usage = Usage(**counts)
    return Reading(inclusive(usage) if call["usage_semantics"] == "anthropic" else usage, units, None)


def _answer(rating: Rating) -> dict[str, Any]:
    row = rating.quote.row
    price = None if row is None else Price.objects.get(pk=row.id)
    return {
        "status": rating.status,
        "currency": "USD",
        "cost": rating.cost,
        "contracted_cost": rating.contracted_cost,
        "cache_savings": rating.saving,
        "lines": rating.lines,
        "price": price,
        "reason": rating.quote.reason,
    }


def _at_list(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what was negotiated."""
    hidden = {"contracted_unit_price": None, "contracted_cost": None, "agreement": None}
    lines = [{**line, **hidden} for line in answer["lines"]]
    return {**answer, "contracted_cost": None, "lines": lines}
