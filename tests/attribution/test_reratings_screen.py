"""Re-ratings on screen: shown by owner and day, approved by typing, exported."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from attribution import reratings
from attribution.models import Rerating, ReratingStatus
from finops.accounts.models import Role
from pricing.models import BookVersion
from tests.attribution.reratings.shop import BY, Cost, Shop, Told, at, booked, publish, reviewed
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db
LIST = "/reratings/"
MILLION = 1_000_000


def text(answer: Any) -> str:  # Any: the test response of the stubs is private
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.content.decode()))


@pytest.fixture
def version() -> BookVersion:
    publish(Cost("m", "3"))
    shop = Shop()
    days = [at("2026-10-01") + timedelta(days=n) for n in range(3)]
    shop.take([Told("m", day, MILLION, team=team) for day in days for team in ("search", "ads")])
    found = reviewed(Cost("m", "2"))
    assert found is not None
    return found


def test_from_the_list_to_the_posting(version: BookVersion) -> None:
    finance = signed_in(Role.FINANCE)
    assert "No price was corrected yet" in text(finance.get(LIST))

    shown = finance.post(LIST, {"version": version.pk})

    made = Rerating.objects.get()
    assert (shown.status_code, shown.headers["Location"]) == (302, f"{LIST}{made.pk}/")
    page = text(finance.get(f"{LIST}{made.pk}/"))
    assert "\N{MINUS SIGN}$6.00 would be posted" in page
    assert "search 3 $9.00 $6.00" in page
    assert f"Type {version.pk} to approve." in page
    assert "1 re-rating waits for approval" in text(finance.get(LIST))
    careless = finance.post(f"{LIST}{made.pk}/", {"approve": "1", "number": "yes"})
    assert careless.status_code == 422
    assert booked() == 18
    done = finance.post(f"{LIST}{made.pk}/", {"approve": "1", "number": str(version.pk)}, follow=True)
    assert booked() == 12
    assert "\N{MINUS SIGN}$6.00 were posted" in text(done)
    assert "Publish and post" not in text(done)


def test_one_team_then_a_feature_and_the_file(version: BookVersion) -> None:
    finance = signed_in(Role.FINANCE)
    made = reratings.preview(version, by=BY)
    one = f"{LIST}{made.pk}/"

    team = finance.get(one, {"team": "ads"})

    assert "?team=ads&amp;feature=ads-feature" in team.content.decode()
    assert "search-feature" not in text(team)
    feature = text(finance.get(one, {"team": "ads", "feature": "ads-feature"}))
    assert "ads / ads-feature" in feature
    assert "1 Oct 2026" in feature
    assert "Nothing of theirs changes." in text(finance.get(one, {"team": ""}))
    file = b"".join(finance.get(f"{one}export.csv").streaming_content).decode()  # type: ignore[attr-defined]
    assert "2026-10-01,ads,ads-feature,acme,m,1,0,0,3,2,-1" in file
    assert file.count("\n") == 8
    assert finance.get(f"{one}export.pdf").status_code == 404
    assert finance.get(f"{LIST}{made.pk + 1}/").status_code == 404


def test_out_of_date_it_is_shown_anew_and_may_be_discarded(version: BookVersion) -> None:
    finance = signed_in(Role.FINANCE)
    first = reratings.preview(version, by=BY)
    Shop().take([Told("m", at("2026-10-02"), 5)])

    stale = finance.post(f"{LIST}{first.pk}/", {"approve": "1", "number": str(version.pk)})

    assert stale.status_code == 409
    assert "The figures would differ from those shown" in text(stale)
    anew = finance.post(f"{LIST}{first.pk}/", {"anew": "1"})
    second = Rerating.objects.exclude(pk=first.pk).get()
    assert anew.headers["Location"] == f"{LIST}{second.pk}/"
    finance.post(f"{LIST}{second.pk}/", {"discard": "1", "reason": "wrong month"})
    second.refresh_from_db()
    assert (second.status, second.reason) == (ReratingStatus.DISCARDED, "wrong month")


def test_who_may_see_and_who_may_decide(version: BookVersion) -> None:
    made = reratings.preview(version, by=BY)
    viewer = signed_in(Role.VIEWER)

    assert "Publish and post" not in text(viewer.get(f"{LIST}{made.pk}/"))
    refused = viewer.post(f"{LIST}{made.pk}/", {"approve": "1", "number": str(version.pk)})
    assert refused.status_code == 403
    assert viewer.post(LIST, {"version": version.pk}).status_code == 403
    assert signed_in(Role.LEAD, "search").get(LIST).status_code == 403
    assert Client().get(LIST).status_code == 302
