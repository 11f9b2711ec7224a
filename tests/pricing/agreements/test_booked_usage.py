"""An agreement over usage that is booked: shown, posted, and every cost as of the time before."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext

import pytest

from attribution import reratings, rollups
from attribution.call_costs import agreements_of
from attribution.calls import CallQuery, calls
from attribution.cost_query import CostQuery
from attribution.models import Rerating
from attribution.reports import costs
from attribution.verification import verify
from finops.core.meters import Usage
from finops.core.money import EXACT, ZERO
from finops.core.periods import Period
from pricing import drafts
from pricing.agreeing import enter_agreement
from pricing.agreement_bodies import read_agreement
from pricing.catalogue import load_book
from pricing.facts import normalise
from pricing.models import BookVersion, SlotRate
from pricing.rating import rate_usage
from tests.attribution.reratings.shop import BY, Cost, Shop, Told, at, publish

pytestmark = pytest.mark.django_db
DAYS = [at("2026-10-01") + timedelta(days=n, hours=n % 24, minutes=7) for n in range(12)]
MEASURES = ("list_cost", "contracted_cost", "effective_cost", "cache_savings")
Sums = tuple[Decimal, ...]


def entered(*, publishes: bool = False, **fields: object) -> tuple[BookVersion, int]:
    """The version and the id of an agreement of the shop."""
    replaces = fields.pop("replaces", ())
    terms, problems = read_agreement({"name": "frame", "provider": "acme", **fields})
    assert terms is not None, problems
    made = enter_agreement(terms, by=BY, replaces=replaces, publishes=publishes)  # type: ignore[arg-type]
    return made.version, made.agreement.pk


def posted(version: BookVersion) -> Rerating:
    """Acknowledged, reviewed, previewed and approved."""
    for block in version.blocks.filter(acknowledged_at=None):
        drafts.acknowledge(version, block.pk, reason="signed", by=BY)
    drafts.review(version, by=BY)
    return reratings.approve(reratings.preview(version, by=BY), BY)


def booked(as_of: datetime | None = None) -> Sums:
    """What the costs answer for everything: list, contracted, effective, savings."""
    period = Period(date(2026, 1, 1), date(2027, 1, 1))
    total = costs(CostQuery(period=period, measures=MEASURES, as_of=as_of)).total
    return tuple(Decimal(total[name] or ZERO) for name in MEASURES)


def one_by_one(shop: Shop, known_at: datetime | None = None) -> Sums:
    """The same by the arithmetic of single calls."""
    book, sums = load_book(known_at), [ZERO, ZERO, ZERO]
    with localcontext(EXACT):
        for call in shop.told:
            rating = rate_usage(
                book.tariff(normalise(call.facts)),
                at=int(call.at.timestamp()),
                usage=Usage(input_tokens=call.input, output_tokens=call.output),
                units={"web_search_calls": Decimal(call.searches)} if call.searches else {},
            )
            sums[0] += rating.cost or ZERO
            sums[1] += rating.contracted_cost or ZERO
            sums[2] += rating.saving
    return sums[0], sums[1], sums[1], sums[2]


def test_agreement_over_booked_usage_is_previewed_and_posted_and_each_time_keeps_its_costs() -> None:
    first = publish(Cost("m", "3", "9", searches="10"), Cost("other", "1"))
    shop = Shop()
    shop.take([Told("m", when, 1_000 + n, 10 * n, searches=n % 3) for n, when in enumerate(DAYS)])
    shop.take([Told("other", when, 77) for when in DAYS[:3]])
    before = booked()
    assert before == one_by_one(shop)
    assert before[0] == before[1] == before[2]

    # From within the sixth day on: slots are divided, and calls of that day told apart.
    cut = (DAYS[5] + timedelta(minutes=-1)).isoformat()
    version, number = entered(model="m", percent_off="12.5", effective_from=cut)
    assert [(block.kind, block.model) for block in version.blocks.all()] == [("retroactive", "m")]
    assert booked() == before
    done = posted(version)

    after = booked()
    assert after == one_by_one(shop)
    assert after[0] == before[0]
    assert after[1] == after[2] < before[2]
    assert (done.calls, done.after - done.before) == (7, after[2] - before[2])
    # 3 and 9 dollars a million, of the seven calls of the last days; searches are left alone.
    tokens = sum(3 * (1_000 + n) + 9 * 10 * n for n in range(5, 12))
    assert before[2] - after[2] == Decimal(tokens) / 8_000_000

    # Ended with what is to come: nothing booked is touched, and the same prices are known by the new row.
    later = (datetime.now().astimezone() + timedelta(days=30)).replace(microsecond=0).isoformat()
    same = {"model": "m", "percent_off": "12.5", "effective_from": cut, "effective_to": later}
    ended, last = entered(replaces=[number], publishes=True, **same)
    assert ended.status == "published"
    assert booked() == after
    agreements = SlotRate.objects.filter(known_to=None).values_list("agreement_id", flat=True)
    assert set(agreements) == {None, last}

    # Another percentage; then as of each time what was known then.
    assert ended.published_at
    posted(entered(model="m", percent_off="50", effective_from=cut, replaces=[last])[0])
    assert booked() == one_by_one(shop)
    assert booked()[2] < after[2]
    assert booked(first) == one_by_one(shop, first) == before
    assert booked(ended.published_at) == one_by_one(shop, ended.published_at) == after
    shop.take([Told("m", DAYS[8], 5_000, 1)])
    rollups.fold(wait=True)
    assert booked() == one_by_one(shop)
    assert booked(first) == one_by_one(shop, first)
    assert verify().passed


def test_a_call_shows_list_contracted_and_effective_with_the_agreement_and_its_version() -> None:
    publish(Cost("m", "3", "9", searches="10"))
    fixed = [{"meter": "input", "unit_price": "2"}]
    version, number = entered(rates=fixed, source="contract 17", publishes=True)
    shop = Shop()
    shop.take([Told("m", DAYS[0], 1_000, 100, searches=1)])

    period = Period(date(2026, 10, 1), date(2026, 10, 2))
    (call,) = calls(CallQuery(period=period)).calls

    cost = call.cost
    assert (cost.list_cost, cost.contracted_cost, cost.effective_cost) == (
        Decimal("0.0139"),
        Decimal("0.0129"),
        Decimal("0.0129"),
    )
    told = {line.meter: (line.list_cost, line.contracted_cost, line.agreement_id) for line in cost.lines}
    assert told == {
        "input": (Decimal("0.003"), Decimal("0.002"), number),
        "output": (Decimal("0.0009"), Decimal("0.0009"), None),
        "web_search_calls": (Decimal("0.01"), Decimal("0.01"), None),
    }
    (agreement,) = agreements_of([cost]).values()
    assert (agreement.name, agreement.version_id, agreement.source) == ("frame", version.pk, "contract 17")
