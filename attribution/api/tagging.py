"""``/api/v1/tagging_rules``: what calls left unsaid, said by rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution import tagging_changes
from attribution.models import TaggingRuleVersion
from attribution.move_preview import affected_period, preview
from attribution.organisation import today
from attribution.tagging import Saying, Standing, history, rule_on, rules_on, saying_of
from attribution.tagging_sql import MATCHED, SET
from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.errors import InvalidInput
from finops.core.periods import Period
from finops.core.shapes import problem_answers
from pricing.shapes import InstantField, Strict

_MAY = (requires(read=Capability.VIEW_COSTS, write=Capability.EDIT_OWNERSHIP),)
Json = dict[str, Any]  # Any: JSON

_MATCH_HELP = (
    f"Fields among {', '.join(MATCHED)} and `tags.<key>` of allocation keys, each with the values it may "
    "have (a text or a list of them): "
    "`chat` is just that, `chat*` starts with it, `*` is anything but empty, an empty text is empty."
)
_FROM_HELP = "First reporting day it holds. Left out: from today; null: since ever."


class RuleBody(Strict):
    """What a rule says, and from which reporting day on."""

    name = serializers.CharField(max_length=tagging_changes.LONGEST_NAME)
    match = serializers.DictField(help_text=_MATCH_HELP)
    set = serializers.DictField(
        child=serializers.CharField(), help_text=f"One or several of {', '.join(SET)}; each must be known."
    )
    only_missing = serializers.BooleanField(
        default=True, help_text="Fill what the call does not say; false: override that as well."
    )
    position = serializers.IntegerField(
        min_value=1, required=False, help_text="From 1; the last unless said."
    )
    effective_from = serializers.DateField(required=False, allow_null=True, help_text=_FROM_HELP)
    effective_to = serializers.DateField(
        required=False, allow_null=True, help_text="First reporting day on which it does not hold any more."
    )


class ChangeBody(Strict):
    """What is said here holds from that day on; what is not said stays as it is on that day."""

    name = serializers.CharField(max_length=tagging_changes.LONGEST_NAME, required=False)
    match = serializers.DictField(required=False, help_text=_MATCH_HELP)
    set = serializers.DictField(child=serializers.CharField(), required=False)
    only_missing = serializers.BooleanField(required=False)
    position = serializers.IntegerField(min_value=1, required=False)
    effective_from = serializers.DateField(required=False, allow_null=True, help_text=_FROM_HELP)


class DayBody(Strict):
    effective_from = serializers.DateField(required=False, allow_null=True, help_text=_FROM_HELP)


class OrderBody(DayBody):
    order = serializers.ListField(
        child=serializers.IntegerField(), help_text="The ids of all rules active on that day."
    )


class PreviewBody(Strict):
    """A new rule, or a change of the one with ``id``, or with ``retire`` the end of it."""

    id = serializers.IntegerField(required=False)
    retire = serializers.BooleanField(default=False)
    rule = serializers.DictField(required=False, help_text="As for POST, or as for PATCH with `id`.")
    effective_from = serializers.DateField(required=False, allow_null=True, help_text="For `retire`.")
    dimension = serializers.ChoiceField(["team", "cost_centre", "feature", "tier"], default="team")


class VersionShape(serializers.Serializer[Json]):
    valid_from = serializers.DateField(allow_null=True)
    active = serializers.BooleanField()
    position = serializers.IntegerField(help_text="Lower is asked first.")
    match = serializers.DictField()
    set = serializers.DictField()
    only_missing = serializers.BooleanField()
    known_from = InstantField()
    known_to = InstantField(allow_null=True)
    made_by = serializers.CharField()


class RuleShape(VersionShape):
    """A rule as it stands today, or as it begins."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class RuleDetailShape(RuleShape):
    history = VersionShape(many=True, help_text="Every version that was ever known, latest knowledge first.")


class RulePage(serializers.Serializer[Json]):
    """All rules at once, in the order in which they are asked; retired ones last."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = RuleShape(many=True)


class MovedShape(serializers.Serializer[Json]):
    owner = serializers.CharField(allow_null=True)
    before = serializers.CharField()
    after = serializers.CharField()
    change = serializers.CharField()


class PreviewShape(serializers.Serializer[Json]):
    """Effective cost, in the days of the open month that the change touches, by owner."""

    to = serializers.DateField()
    moved = MovedShape(many=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """``from`` is no name that Python takes."""
        return {"from": serializers.DateField(), **super().get_fields()}


class TaggingRules(APIView):
    """``/api/v1/tagging_rules``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="tagging_rules_list",
        parameters=[OpenApiParameter("day", date, description="A reporting day; today unless said.")],
        responses={200: RulePage, **problem_answers(400, 401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """All rules, in the order in which they are asked."""
        day = request.query_params.get("day")
        standing = rules_on(_day(day) if day else today())
        return Response({"next": None, "previous": None, "results": [_rule_json(one) for one in standing]})

    @extend_schema(
        operation_id="tagging_rules_add",
        request=RuleBody,
        responses={
            201: OpenApiResponse(RuleDetailShape, description="Made."),
            **problem_answers(400, 401, 403, 409, 422, 429),
        },
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """A new rule; from its first day on it is asked in its place."""
        made = _adding(_checked(RuleBody(data=request.data)), principal_of(request).label)()
        return Response(_detail_json(made), status.HTTP_201_CREATED)


class TaggingRuleOne(APIView):
    """``/api/v1/tagging_rules/{id}``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="tagging_rules_get",
        responses={200: RuleDetailShape, **problem_answers(401, 403, 404, 429)},
    )
    def get(self, request: Request, number: int) -> Response:
        """One rule with its history."""
        return Response(_detail_json(rule_on(number, today())))

    @extend_schema(
        operation_id="tagging_rules_change",
        request=ChangeBody,
        responses={200: RuleDetailShape, **problem_answers(400, 401, 403, 404, 409, 429)},
    )
    def patch(self, request: Request, number: int) -> Response:
        """From that day on the rule says something else; earlier days stay as they are."""
        said = _checked(ChangeBody(data=request.data))
        return Response(_detail_json(_changing(number, said, principal_of(request).label)()))


class TaggingRuleRetire(APIView):
    """``POST /api/v1/tagging_rules/{id}/retire``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="tagging_rules_retire",
        request=DayBody,
        responses={200: RuleDetailShape, **problem_answers(400, 401, 403, 404, 429)},
    )
    def post(self, request: Request, number: int) -> Response:
        """From that day on the rule says nothing. It is kept."""
        said = _checked(DayBody(data=request.data))
        actor = principal_of(request).label
        return Response(_detail_json(tagging_changes.retire(number, actor=actor, effective_from=_from(said))))


class TaggingRuleOrder(APIView):
    """``POST /api/v1/tagging_rules/order``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="tagging_rules_order",
        request=OrderBody,
        responses={200: RulePage, **problem_answers(400, 401, 403, 429)},
    )
    def post(self, request: Request) -> Response:
        """From that day on the rules are asked in this order."""
        said = _checked(OrderBody(data=request.data))
        actor = principal_of(request).label
        standing = tagging_changes.reorder(said["order"], actor=actor, effective_from=_from(said))
        return Response({"next": None, "previous": None, "results": [_rule_json(one) for one in standing]})


class TaggingRulePreview(APIView):
    """``POST /api/v1/tagging_rules/preview``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="tagging_rules_preview",
        request=PreviewBody,
        responses={200: PreviewShape, **problem_answers(400, 401, 403, 404, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        """What a change would move in this month: it is made, asked about, and undone."""
        said = _checked(PreviewBody(data=request.data))
        change, day = _previewed(said, principal_of(request).label)
        month = Period.month_of(today())
        period = affected_period(day, month.first, month.end)
        moved = [
            {
                "owner": one.owner,
                "before": str(one.before),
                "after": str(one.after),
                "change": str(one.change),
            }
            for one in preview(change, period, dimension=said["dimension"])
        ]
        return Response({"from": period.first.isoformat(), "to": period.end.isoformat(), "moved": moved})


def _checked(body: serializers.Serializer[Json]) -> Json:
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _day(text: object) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise InvalidInput.field("day", "invalid", "Expected a date such as 2026-10-01.") from None


def _from(said: Json) -> date | None:
    day: date | None = said.get("effective_from", today())
    return day


def _match(said: Json) -> dict[str, list[str]]:
    match: dict[str, list[str]] = {}
    for name, values in said.items():
        several = values if isinstance(values, list) else [values]
        if not all(isinstance(value, str) for value in several):
            raise InvalidInput.field(f"match.{name}", "wrong_type", "Expected a text or a list of them.")
        match[str(name)] = several
    return match


def _adding(said: Json, actor: str) -> Callable[[], Standing]:
    saying = Saying(match=_match(said["match"]), sets=said["set"], only_missing=said["only_missing"])
    return lambda: tagging_changes.add(
        said["name"],
        saying,
        actor=actor,
        effective_from=_from(said),
        effective_to=said.get("effective_to"),
        place=said.get("position"),
    )


def _changing(number: int, said: Json, actor: str) -> Callable[[], Standing]:
    day = _from(said)

    @transaction.atomic
    def change() -> Standing:
        held = saying_of(rule_on(number, day or date.min).shown)
        saying = Saying(
            match=_match(said["match"]) if "match" in said else held.match,
            sets=said.get("set", held.sets),
            only_missing=said.get("only_missing", held.only_missing),
        )
        return tagging_changes.change(
            number,
            saying,
            actor=actor,
            effective_from=day,
            name=said.get("name"),
            place=said.get("position"),
        )

    return change


def _previewed(said: Json, actor: str) -> tuple[Callable[[], object], date | None]:
    number = said.get("id")
    if said["retire"]:
        if number is None:
            raise InvalidInput.field("id", "required", "Say which rule.")
        rule_on(number, today())
        day = _from(said)
        return lambda: tagging_changes.retire(number, actor=actor, effective_from=day), day
    if "rule" not in said:
        raise InvalidInput.field("rule", "required", "Say what the rule would say.")
    if number is None:
        body = _checked(RuleBody(data=said["rule"]))
        return _adding(body, actor), _from(body)
    rule_on(number, today())
    body = _checked(ChangeBody(data=said["rule"]))
    return _changing(number, body, actor), _from(body)


def _rule_json(standing: Standing) -> Json:
    return {"id": standing.rule.pk, "name": standing.rule.name, **_version_json(standing.shown)}


def _detail_json(standing: Standing) -> Json:
    versions = [_version_json(version) for version in history(standing.rule.pk)]
    return {**_rule_json(standing), "history": versions}


def _version_json(version: TaggingRuleVersion) -> Json:
    return {
        "valid_from": version.valid_from.isoformat() if version.valid_from else None,
        "active": version.is_active,
        "position": version.position,
        **saying_of(version).as_json(),
        "known_from": version.known_from,
        "known_to": version.known_to,
        "made_by": version.made_by,
    }
