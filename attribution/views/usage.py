"""Usage events: which calls are these, what did each cost, and why is it so?"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from attribution import partitions
from attribution.calls import Call, CallPage, CallQuery, calls
from attribution.cost_query import TOKENS
from attribution.explanations import explain
from attribution.tag_names import name_of
from attribution.views import asking
from attribution.views.answering import EXPLORER
from attribution.views.names import names_of
from finops.accounts.models import User
from finops.accounts.permissions import Capability, Principal, principal_of_person
from finops.core.errors import InvalidInput, NotFound
from finops.ui import exports
from finops.ui.exports import Cell, Column, Export, Format, Kind
from finops.ui.filters import Condition, Screen, Unknown
from finops.ui.screens import Asked, opens, sign_in

# What a call may be looked up by, besides the dimensions.
LOOKUPS = ("event_id", "task_id", "session_id", "trace_id", "end_user")
CALLS = Screen(
    path="/usage/",
    dimensions=asking.OF_CALLS,
    more=asking.tag_dimensions,
    sorts=("",),
    costs=("effective",),
    others=("after", "unpriced", *LOOKUPS),
)
ON_A_PAGE = 50
IN_A_FILE = 50_000


@opens(CALLS)
def usage(asked: Asked) -> HttpResponseBase:
    """One page of calls, the newest first."""
    page = _page(asked, after=asked.view.others.get("after"), limit=ON_A_PAGE)
    others = {name: value for name, value in asked.view.others.items() if name != "after"}
    following = asked.view.with_(others={**others, "after": page.next}).url if page.next else ""
    raw = partitions.raw_days()
    context = {
        "bar": asked.bar("period"),
        "exports": asked.exports(),
        "heading": "Usage events",
        "aside": asked.bar().days,
        "rows": [_row(call) for call in page.calls],
        "names": names_of(["team", "feature"]),
        "following": following,
        "first_url": asked.view.with_(others=others).url if "after" in asked.view.others else "",
        "lookups": [(name, asked.view.others.get(name, "")) for name in LOOKUPS],
        "found_by": [(name.replace("_", " "), value) for name, value in others.items()],
        "kept_since": raw[0] if raw else None,
        "retention": settings.RAW_RETENTION_DAYS,
    }
    return asked.answer("attribution/usage.html", context)


@opens(CALLS, file=True)
def usage_export(asked: Asked, wanted: str) -> HttpResponseBase:
    """The calls of the view as a file, the newest first; at most ``IN_A_FILE``."""
    columns = [
        Column("Occurred at (UTC)", Kind.MOMENT),
        *(Column(title) for title in ("Source", "Event id", "Team", "Rule", "Feature", "Tier", "Provider")),
        *(Column(title) for title in ("Model", "Environment", "Status")),
        Column("Input tokens", Kind.COUNT),
        Column("Output tokens", Kind.COUNT),
        Column(f"Effective cost ({settings.REPORTING_CURRENCY})", Kind.UNIT_PRICE),
    ]
    export = Export(
        name=f"calls-{asked.view.span.so_far.first}-{asked.view.span.so_far.end}",
        columns=columns,
        rows=_file_rows(asked),
        about=[
            ("Period", asked.bar().days),
            ("Time zone", str(settings.REPORTING_TIME_ZONE)),
            ("Filters", "; ".join(chip.text for chip in asked.view.chips) or "none"),
            ("At most", f"{IN_A_FILE} calls, the newest"),
        ],
    )
    return exports.respond(export, Format(wanted))


@require_safe
def explanation(request: HttpRequest, source: str, event_id: str) -> HttpResponse:
    """One call: what was used, at which prices, from where, and whose it is."""
    if not isinstance(request.user, User):
        return sign_in(request)
    principal = principal_of_person(request.user)
    try:
        explained = explain(source, event_id, visible_teams=principal.visible_teams)
    except NotFound as error:
        raise Http404 from error
    call = explained.call
    used = dict.fromkeys(line.price_id for line in call.cost.lines if line.price_id is not None)
    context = {
        "row": _row(call),
        "call": call,
        "slot": explained.slot,
        "prices": [explained.prices[price_id] for price_id in used],
        "owner": explained.attribution,
        "given": [(name.replace("_", " "), value) for name, value in call.names.items() if value],
        "sees_contracted": _sees_contracted(principal),
        "detail": {name: value for name, value in call.detail.items() if value},
        "tags": [(key, value, _costs_by_tag(key, value)) for key, value in call.allocated_tags.items()],
    }
    return render(request, "attribution/call.html", context)


def _costs_by_tag(key: str, value: str) -> str:
    """The address of what is counted under this value of an allocation key."""
    asked = {"group": "model", name_of(key): Condition((value,)).written()}
    return f"{EXPLORER.path}?{urlencode(asked)}"


def _sees_contracted(principal: Principal) -> bool:
    return principal.may(Capability.VIEW_CONTRACTED_PRICES)


def _page(asked: Asked, *, after: str | None, limit: int) -> CallPage:
    view, others = asked.view, asked.view.others
    try:
        return calls(
            CallQuery(
                period=view.span.so_far,
                filters={name: asking.filter_of(condition) for name, condition in view.filters.items()},
                **{name: others.get(name) for name in LOOKUPS},  # type: ignore[arg-type]
                unpriced_only=bool(others.get("unpriced")),
                after=after,
                limit=limit,
                visible_teams=asked.principal.visible_teams,
            )
        )
    except InvalidInput as error:
        without = view.with_(others={name: value for name, value in others.items() if name != "after"})
        raise Unknown("after", after or "", [], without.url) from error


def _row(call: Call) -> dict[str, object]:
    return {
        "call": call,
        "input": call.cost.tokens(TOKENS["input_tokens"]),
        "cached": call.cost.tokens(TOKENS["cache_read_tokens"]),
        "output": call.cost.tokens(TOKENS["output_tokens"]),
    }


def _file_rows(asked: Asked) -> Iterator[list[Cell]]:
    after, left = None, IN_A_FILE
    while left:
        page = _page(asked, after=after, limit=min(left, 500))
        for call in page.calls:
            names = call.names
            yield [
                call.occurred_at,
                call.source,
                call.event_id,
                names["team"],
                call.rule,
                names["feature"],
                names["tier"],
                names["provider"],
                names["model"],
                names["environment"],
                call.status.label,
                call.cost.tokens(TOKENS["input_tokens"]),
                call.cost.tokens(TOKENS["output_tokens"]),
                call.cost.effective_cost,
            ]
        left -= len(page.calls)
        after = page.next
        if after is None:
            return
