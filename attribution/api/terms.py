"""``/api/v1/commitments``, ``/credits``, ``/taxes``: what is paid, given and levied beside usage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution.api.term_shapes import CommitmentDetail, CreditDetail, TaxDetail, detail
from attribution.models import Team
from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.shapes import problem_answers
from pricing import terms
from pricing.models import Commitment, Credit, Tax
from pricing.shapes import Strict
from pricing.term_bodies import BODIES, corrected_body, read_term
from pricing.term_shapes import SHAPES, TermQuery, TermShape

_MAY = (requires(read=Capability.VIEW_CONTRACTED_PRICES, write=Capability.EDIT_PRICES),)
_READ = problem_answers(400, 401, 403, 404, 429)
_CHANGE = problem_answers(400, 401, 403, 404, 409, 422, 429)
AnyTerm = Commitment | Credit | Tax


@dataclass(frozen=True, slots=True)
class Kind:
    """What is entered under one path."""

    model: type[Commitment | Credit | Tax]
    plural: str
    detail: type[TermShape]

    @property
    def singular(self) -> str:
        return str(self.model._meta.model_name)


KINDS = (
    Kind(Commitment, "commitments", CommitmentDetail),
    Kind(Credit, "credits", CreditDetail),
    Kind(Tax, "taxes", TaxDetail),
)


class EndBody(Strict):
    ends_on = serializers.DateField(help_text="The first day without it.")


class WithdrawBody(Strict):
    reason = serializers.CharField(max_length=2_000)


class TermPage(CursorPagination):
    """Oldest first, a hundred at a time."""

    page_size = 100
    max_page_size = 1_000
    page_size_query_param = "limit"
    ordering = "id"


def is_team(slug: str) -> bool:
    """Whether there is a team of that slug."""
    return Team.objects.filter(slug=slug).exists()


def list_of(kind: Kind) -> type[ListAPIView[Any]]:
    """The view of all of a kind, which also takes new ones."""
    shape, body = SHAPES[kind.model], BODIES[kind.model]

    class Terms(ListAPIView[Any]):
        permission_classes = _MAY
        serializer_class = shape
        pagination_class = TermPage
        queryset = kind.model.objects.none()

        @extend_schema(
            operation_id=f"{kind.plural}_list",
            parameters=[TermQuery],
            responses={200: shape(many=True), **problem_answers(400, 401, 403, 429)},
        )
        def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
            """List what is known now, or was known at a time; of all days, or holding on one."""
            return super().get(request, *args, **kwargs)

        def get_queryset(self) -> QuerySet[Any]:
            asked = TermQuery(data=self.request.query_params)
            asked.is_valid(raise_exception=True)
            wanted = asked.validated_data
            found = kind.model.objects.known(wanted.get("as_of")).select_related("replaced_by")
            if "provider" in wanted:
                found = found.filter(provider=wanted["provider"].lower())
            return found.on(wanted["at"]) if "at" in wanted else found

        @extend_schema(
            operation_id=f"{kind.plural}_enter",
            request=body,
            responses={201: kind.detail, **problem_answers(400, 401, 403, 409, 422, 429)},
        )
        @idempotent
        def post(self, request: Request) -> Response:
            """Enter what was agreed. It counts in costs as soon as the worker has derived its charges.

            422 `no_rate` while the rate of exchange of its first month is not booked.
            """
            term = read_term(kind.model, request.data)
            made = terms.enter(term, by=principal_of(request).label, is_team=is_team)
            return Response(_detail(request, made), status.HTTP_201_CREATED)

    return _named(Terms, kind, "List")


def one_of(kind: Kind) -> type[APIView]:
    """The view of one."""

    class TermOne(APIView):
        permission_classes = _MAY

        @extend_schema(operation_id=f"{kind.plural}_get", responses={200: kind.detail, **_READ})
        def get(self, request: Request, number: int) -> Response:
            """What it says and how it was corrected; in force or not. With how far it is used."""
            return Response(_detail(request, terms.find(kind.model, number)))

    return _named(TermOne, kind, "One")


def correct_of(kind: Kind) -> type[APIView]:
    """The view that corrects one."""

    class TermCorrect(APIView):
        permission_classes = _MAY

        @extend_schema(
            operation_id=f"{kind.plural}_correct",
            request=BODIES[kind.model](partial=True),
            responses={201: OpenApiResponse(kind.detail, description="The row that replaces it."), **_CHANGE},
        )
        @idempotent
        def post(self, request: Request, number: int) -> Response:
            """Say some of it otherwise: a further row replaces this one. What is not named stays.

            Of amounts it keeps the rate of exchange, unless it starts in another month or the currency
            is another.
            """
            body = corrected_body(terms.find(kind.model, number), request.data)
            term = read_term(kind.model, body)
            made = terms.correct(number, term, by=principal_of(request).label, is_team=is_team)
            return Response(_detail(request, made), status.HTTP_201_CREATED)

    return _named(TermCorrect, kind, "Correct")


def end_of(kind: Kind) -> type[APIView]:
    """The view that ends one early."""

    class TermEnd(APIView):
        permission_classes = _MAY

        @extend_schema(
            operation_id=f"{kind.plural}_end",
            request=EndBody,
            responses={201: OpenApiResponse(kind.detail, description="The row that replaces it."), **_CHANGE},
        )
        @idempotent
        def post(self, request: Request, number: int) -> Response:
            """End it before the agreed day."""
            said = EndBody(data=request.data)
            said.is_valid(raise_exception=True)
            by = principal_of(request).label
            made = terms.end(kind.model, number, said.validated_data["ends_on"], by=by)
            return Response(_detail(request, made), status.HTTP_201_CREATED)

    return _named(TermEnd, kind, "End")


def withdraw_of(kind: Kind) -> type[APIView]:
    """The view that takes one back."""

    class TermWithdraw(APIView):
        permission_classes = _MAY

        @extend_schema(
            operation_id=f"{kind.plural}_withdraw",
            request=WithdrawBody,
            responses={200: kind.detail, **_CHANGE},
        )
        def post(self, request: Request, number: int) -> Response:
            """Take back what should not have been entered. As of any time before, it still counts."""
            said = WithdrawBody(data=request.data)
            said.is_valid(raise_exception=True)
            by, reason = principal_of(request).label, said.validated_data["reason"]
            return Response(_detail(request, terms.withdraw(kind.model, number, by=by, reason=reason)))

    return _named(TermWithdraw, kind, "Withdraw")


def _detail(request: Request, term: AnyTerm) -> dict[str, Any]:
    return detail(term, sees_use=principal_of(request).visible_teams is None)


def _named(view: type[Any], kind: Kind, doing: str) -> type[Any]:
    view.__name__ = view.__qualname__ = f"{kind.singular.title()}{doing}"
    return view
