"""``/api/v1/price_agreements``: what was negotiated, read and entered."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.errors import Conflict, InvalidInput, NotFound
from finops.core.problems import CONTENT_TYPE, problem_body
from finops.core.shapes import problem_answers
from pricing.agreeing import enter_agreement
from pricing.agreement_bodies import read_agreement
from pricing.agreement_shapes import (
    AgreementDraft,
    AgreementEntered,
    AgreementQuery,
    AgreementShape,
    NewAgreement,
)
from pricing.api_book import PricePage
from pricing.api_versions import find_version
from pricing.models import Agreement, AgreementBand, AgreementRate
from pricing.version_shapes import Json, PriceVersionShape

_MAY = (requires(read=Capability.VIEW_CONTRACTED_PRICES, write=Capability.EDIT_PRICES),)
_DRAFT_FIELDS = tuple(AgreementDraft().fields)


class Agreements(ListAPIView[Agreement]):
    """``/api/v1/price_agreements``."""

    permission_classes = _MAY
    serializer_class = AgreementShape
    pagination_class = PricePage
    queryset = Agreement.objects.none()

    @extend_schema(
        operation_id="price_agreements_list",
        parameters=[AgreementQuery],
        responses={200: AgreementShape(many=True), **problem_answers(400, 401, 403, 429)},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List agreements: known now, or at a time; of all time, or in force at one; or of one version."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Agreement]:
        asked = AgreementQuery(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        if "version" in wanted:
            found = Agreement.objects.filter(version=wanted["version"])
        else:
            found = Agreement.objects.known(wanted.get("as_of"))
        if "provider" in wanted:
            found = found.filter(provider=wanted["provider"])
        if "at" in wanted:
            found = found.effective(wanted["at"])
        return _with_bands(found)

    @extend_schema(
        operation_id="price_agreements_add",
        request=NewAgreement,
        responses={
            201: OpenApiResponse(AgreementEntered, description="In force, or in a draft."),
            **problem_answers(400, 401, 403, 404, 409, 422, 429),
        },
    )
    def post(self, request: Request) -> Response:
        """Enter an agreement, in force at once where no booked usage would be priced otherwise.

        Else it waits in a draft, to be reviewed and published at `/price_versions/{id}` or by a re-rating, as
        `waits` says. With `"publish": true` the answer is then 409, which names that draft as `version`; with
        `false`, or in a `version` of yours, it is a draft anyway.
        """
        answer = self._enter(request)
        insists = isinstance(request.data, dict) and request.data.get("publish") is True
        if not (insists and isinstance(answer.data, dict) and (why := answer.data.get("waits"))):
            return answer
        number = answer.data["version"]["id"]
        body = problem_body(Conflict.status, Conflict.title, why) | {"version": number}
        return Response(body, Conflict.status, headers=dict(answer.headers), content_type=CONTENT_TYPE)

    @idempotent
    def _enter(self, request: Request) -> Response:
        """What was entered stays entered, so this succeeds also where it could not be put in force."""
        if not isinstance(request.data, dict):
            raise InvalidInput.field("body", "invalid", "Send a JSON object.")
        about = AgreementDraft(data={k: v for k, v in request.data.items() if k in _DRAFT_FIELDS})
        about.is_valid(raise_exception=True)
        terms, problems = read_agreement({k: v for k, v in request.data.items() if k not in _DRAFT_FIELDS})
        if terms is None:
            message = "; ".join(f"{one.field}: {one.message}" for one in problems[:3])
            raise InvalidInput(message, problems)
        said = about.validated_data
        entered = enter_agreement(
            terms,
            by=principal_of(request).label,
            version=find_version(said["version"]) if "version" in said else None,
            label=said["label"],
            note=said["draft_note"],
            replaces=said["replaces"],
            publishes="version" not in said if said["publish"] is None else said["publish"],
        )
        body: Json = {
            "version": PriceVersionShape(entered.version).data,
            "agreement": AgreementShape(_read(entered.agreement.pk)).data,
            "waits": entered.waits,
        }
        return Response(body, status.HTTP_201_CREATED)


class AgreementOne(APIView):
    """``/api/v1/price_agreements/{id}``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="price_agreements_get",
        responses={200: AgreementShape, **problem_answers(401, 403, 404, 429)},
    )
    def get(self, request: Request, number: int) -> Response:
        """One agreement, whether in force, superseded or in a draft."""
        return Response(AgreementShape(_read(number)).data)


def _read(number: int) -> Agreement:
    for agreement in _with_bands(Agreement.objects.filter(pk=number)):
        return agreement
    raise NotFound(f"There is no agreement {number}.")


def _with_bands(agreements: QuerySet[Agreement]) -> QuerySet[Agreement]:
    bands = AgreementBand.objects.order_by("over").prefetch_related(
        Prefetch("rates", AgreementRate.objects.order_by("pk"))
    )
    return agreements.select_related("version").prefetch_related(Prefetch("bands", bands))
