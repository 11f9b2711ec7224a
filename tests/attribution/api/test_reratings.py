"""Re-ratings by HTTP: shown, read, approved, discarded, and by whom."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from finops.accounts.models import AuditEntry
from pricing.models import BookVersion
from tests.attribution.api.conftest import Caller
from tests.attribution.reratings.shop import Cost, Shop, Told, at, booked, publish, reviewed

pytestmark = pytest.mark.django_db
URL = "/api/v1/reratings"
MILLION = 1_000_000


@pytest.fixture
def version() -> BookVersion:
    """A reviewed version that makes a million tokens cost $2 rather than $3."""
    publish(Cost("m", "3"))
    shop = Shop()
    days = [at("2026-10-01") + timedelta(days=n) for n in range(3)]
    shop.take([Told("m", day, MILLION, team=team) for day in days for team in ("search", "ads")])
    found = reviewed(Cost("m", "2"))
    assert found is not None
    return found


def test_shown_then_approved(writer: Client, version: BookVersion) -> None:
    shown = writer.post(URL, {"version": version.pk}, content_type="application/json")

    assert shown.status_code == 201
    body = shown.json()
    assert body["status"] == "previewed"
    assert body["total"] == {
        "calls": 6, "newly_priced": 0, "newly_unpriced": 0, "before": "18", "after": "12", "difference": "-6",
    }  # fmt: skip
    assert [(line["key"], line["difference"]) for line in body["lines"]] == [
        ({"team": "ads"}, "-3"), ({"team": "search"}, "-3"),
    ]  # fmt: skip
    assert booked() == 18
    done = writer.post(f"{URL}/{body['id']}/approve")
    assert done.status_code == 200
    assert (done.json()["status"], done.json()["posted_after"]) == ("approved", "12")
    assert booked() == 12
    assert writer.post(f"{URL}/{body['id']}/approve").json() == done.json()
    before = writer.get(
        "/api/v1/costs",
        {"from": "2026-10-01", "to": "2026-11-01", "as_of": done.json()["known_from"].replace("Z", "+00:00")},
    ).json()
    assert Decimal(before["total"]["effective_cost"]) == 12
    actions = AuditEntry.objects.filter(subject_kind="re-rating").values_list("action", flat=True)
    assert set(actions) == {"rerating.previewed", "rerating.approved"}


def test_lines_by_feature_and_day(writer: Client, version: BookVersion) -> None:
    made = writer.post(URL, {"version": version.pk}, content_type="application/json").json()

    found = writer.get(f"{URL}/{made['id']}", {"group_by": "day,feature"}).json()

    assert len(found["lines"]) == 6
    assert found["lines"][0]["key"] == {"day": "2026-10-01", "feature": "ads-feature"}
    assert writer.get(f"{URL}/{made['id']}", {"group_by": "colour"}).status_code == 400
    listed = writer.get(URL).json()
    assert [one["id"] for one in listed["results"]] == [made["id"]]
    assert writer.get(f"{URL}/{made['id'] + 1}").status_code == 404


def test_discarded_it_cannot_be_approved(writer: Client, version: BookVersion) -> None:
    made = writer.post(URL, {"version": version.pk}, content_type="application/json").json()
    one = f"{URL}/{made['id']}"

    done = writer.post(f"{one}/discard", {"reason": "not now"}, content_type="application/json").json()

    assert (done["status"], done["reason"]) == ("discarded", "not now")
    assert writer.post(f"{one}/approve").status_code == 409
    assert writer.post(URL, {"version": 10**6}, content_type="application/json").status_code == 400
    assert writer.post(URL, {"version": "x"}, content_type="application/json").status_code == 400


def test_out_of_date_says_so(writer: Client, version: BookVersion) -> None:
    made = writer.post(URL, {"version": version.pk}, content_type="application/json").json()
    again = writer.post(URL, {"version": version.pk}, content_type="application/json").json()

    refused = writer.post(f"{URL}/{made['id']}/approve")

    assert refused.status_code == 409
    assert writer.get(f"{URL}/{made['id']}").json()["status"] == "stale"
    assert writer.post(f"{URL}/{again['id']}/approve").status_code == 200
    late = writer.post(URL, {"version": version.pk}, content_type="application/json")
    assert late.status_code == 409


def test_who_may(caller: Caller, version: BookVersion) -> None:
    reader = caller("read")
    asked = reader.post(URL, {"version": version.pk}, content_type="application/json")

    assert asked.status_code == 403
    assert reader.get(URL).status_code == 200
    assert caller("read", team="search").get(URL).status_code == 403
    assert Client().get(URL).status_code == 401
