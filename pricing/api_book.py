"""``/api/v1/prices``: read the book, and put prices into a draft of its next version."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.errors import FieldProblem, InvalidInput
from finops.core.shapes import problem_answers
from pricing.api_versions import find_version
from pricing.entering import OWN, enter
from pricing.models import Price
from pricing.placing import Priced
from pricing.price_bodies import PriceBody, read_price
from pricing.shapes import PriceQuery, PriceShape
from pricing.version_shapes import Json, PriceVersionShape

MOST_PRICES = 1_000
_DRAFT_FIELDS = ("version", "label", "replaces", "overlap", "draft_note")


class BookQuery(PriceQuery):
    """As ``PriceQuery``; or the rows of one version, published or not."""

    version = serializers.IntegerField(required=False, help_text="Rows that this version states.")


class PricePage(CursorPagination):
    """Oldest first, a hundred at a time."""

    page_size = 100
    max_page_size = 1_000
    page_size_query_param = "limit"
    ordering = "id"


class DraftBody(serializers.Serializer[Json]):
    """Which draft the prices go into, and what becomes of what is in their way."""

    version = serializers.IntegerField(required=False, help_text="An open draft; a new one unless said.")
    label = serializers.CharField(  # type: ignore[assignment]
        max_length=100, default=OWN, help_text="Of a new draft: which desk or feed it comes from."
    )
    draft_note = serializers.CharField(default="", allow_blank=True, max_length=2_000)
    replaces = serializers.ListField(
        child=serializers.IntegerField(), default=list, help_text="Prices in force that go altogether."
    )
    overlap = serializers.ChoiceField(
        ["refuse", "make_room"],
        default="refuse",
        help_text="`make_room`: prices under the same conditions go on before and after the new one.",
    )


class PricesBody(DraftBody):
    prices = PriceBody(many=True, help_text="Or one price's fields beside the others.")


class PricesDrafted(serializers.Serializer[Json]):
    """The draft, and its prices."""

    version = PriceVersionShape()
    prices = PriceShape(many=True)


class Prices(ListAPIView[Price]):
    """The price book."""

    permission_classes = (requires(read="read", write=Capability.EDIT_PRICES),)
    serializer_class = PriceShape
    pagination_class = PricePage
    queryset = Price.objects.none()

    @extend_schema(
        operation_id="prices_list",
        parameters=[BookQuery],
        responses={200: PriceShape(many=True), **problem_answers(400, 401, 403, 429)},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List prices: what is known now, or was known at a time; of all time, or in force at one."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Price]:
        asked = BookQuery(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        known = Price.objects.known(wanted.get("as_of"))
        prices = Price.objects.filter(version=wanted["version"]) if "version" in wanted else known
        names = {name: wanted[name] for name in ("provider", "model") if name in wanted}
        prices = prices.filter(**names).select_related("version").prefetch_related("rates")
        return prices.effective(wanted["at"]) if "at" in wanted else prices

    @extend_schema(
        operation_id="prices_draft",
        request=PricesBody,
        responses={
            201: OpenApiResponse(PricesDrafted, description="In the draft; nothing is in force yet."),
            **problem_answers(400, 401, 403, 404, 409, 422, 429),
        },
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Put one price or several into a draft. Review and publish it at `/price_versions/{id}`.

        A price is never edited: a correction is another price. One that overlaps another under the same
        conditions is refused, naming the other, unless it `replaces` it or makes room.
        """
        said, prices, places = _told(request.data)
        version = enter(
            prices,
            by=principal_of(request).label,
            version=find_version(said["version"]) if "version" in said else None,
            label=said["label"],
            note=said["draft_note"],
            replaces=said["replaces"],
            makes_room=said["overlap"] == "make_room",
            places=places,
        )
        rows = Price.objects.filter(version=version).select_related("version").prefetch_related("rates")
        body = {
            "version": PriceVersionShape(version).data,
            "prices": [PriceShape(row).data for row in rows.order_by("pk")],
        }
        return Response(body, status.HTTP_201_CREATED)


def _told(body: Any) -> tuple[Json, list[Priced], list[str]]:  # Any: JSON
    """What the draft is, the prices, and the place of each for what is wrong with it."""
    if not isinstance(body, dict):
        raise InvalidInput.field("body", "invalid", "Send a JSON object.")
    about = DraftBody(data={name: body[name] for name in _DRAFT_FIELDS if name in body})
    about.is_valid(raise_exception=True)
    rest = {name: value for name, value in body.items() if name not in _DRAFT_FIELDS}
    listed = rest.get("prices")
    if listed is None:
        bodies, places = [rest], [""]
    elif not isinstance(listed, list) or not 1 <= len(listed) <= MOST_PRICES:
        raise InvalidInput.field("prices", "invalid", f"Give a list of 1 to {MOST_PRICES:,} prices.")
    elif len(rest) > 1:
        problems = [
            FieldProblem(name, "unknown", "There is no such field beside prices.")
            for name in rest
            if name != "prices"
        ]
        raise InvalidInput(problems[0].message, problems)
    else:
        bodies, places = listed, [f"prices.{number}" for number in range(len(listed))]
    read = [read_price(one, place) for one, place in zip(bodies, places, strict=True)]
    if problems := [problem for _, wrong in read for problem in wrong]:
        raise InvalidInput("; ".join(f"{one.field}: {one.message}" for one in problems[:3]), problems)
    return (
        dict(about.validated_data),
        [priced for priced, _ in read if priced],
        [one or "price" for one in places],
    )
