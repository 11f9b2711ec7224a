"""Ownership on screen: tabs, review, and moves that are looked at before they are made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from attribution import ownership, registry, rollups
from attribution.models import Attribution, BusinessUnit, Feature, FeatureOwnership, Team, TeamPlacement, Tier
from attribution.organisation import today
from finops.accounts.models import AuditEntry, Role
from finops.accounts.people import add_person
from finops.core.meters import Meter
from tests.attribution.factory import Call, book, dimension_set, price_slot
from tests.signing_in import signed_in, text

pytestmark = pytest.mark.django_db
TABS = ("/ownership/", "/ownership/features/", "/ownership/tiers/", "/ownership/cost-centres/")
FINDER = "/ownership/feature/?slug=finder"


@pytest.fixture(autouse=True)
def company(db: None) -> None:
    for slug in ("search", "chat"):
        registry.create_team(slug, name=slug.capitalize(), actor="ann")
    registry.create_cost_centre("4100", name="Discovery", actor="ann")
    registry.create_business_unit("consumer", name="Consumer", actor="ann")
    registry.create_feature("finder", name="Finder", actor="ann")
    ownership.place_team("search", "4100", actor="ann")
    ownership.place_cost_centre("4100", "consumer", actor="ann")
    ownership.own_feature("finder", "search", actor="ann")


@pytest.fixture
def finance() -> Client:
    return signed_in(Role.FINANCE)


def spend(feature: str = "finder", *, days_ago: int = 0) -> None:
    """One call of 1 dollar effective cost."""
    at = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=days_ago)
    book([Call(at, dimension_set(feature=feature), price_slot({Meter.INPUT: "1.25"}), {"input": 10**6})])
    rollups.fold()


def move(client: Client, address: str = FINDER, **fields: object) -> Any:  # Any: as above
    """Save a move that was previewed, unless ``fields`` say otherwise."""
    said: dict[str, object] = {"target": "chat", "effective_from": "", **fields}
    return client.post(address, {"previewed": f"{said['effective_from']} {said['target']}", **said})


@pytest.mark.parametrize("page", [*TABS, FINDER, "/ownership/team/"])
def test_a_stranger_is_sent_to_sign_in(client: Client, page: str) -> None:
    assert client.get(page)["Location"].startswith("/accounts/login/?next=/ownership/")
    assert client.post("/ownership/confirm/feature/", {"slug": "finder"}).status_code == 302


@pytest.mark.parametrize("page", TABS)
def test_every_tab_is_one_page_without_inline_code(finance: Client, page: str) -> None:
    answer = finance.get(page)

    assert answer.status_code == 200
    assert text(answer).count("<h1") == 1
    assert text(answer).count('aria-current="page"') >= 1
    assert " style=" not in text(answer)


def test_teams_are_shown_with_cost_centre_unit_and_history(finance: Client) -> None:
    ownership.place_team("search", None, effective_from=today() + timedelta(days=3), actor="ann")

    answer = finance.get("/ownership/")

    line = next(line for line in answer.context["lists"][0]["lines"] if line["row"].entry.slug == "search")
    assert (line["target"], line["unit"]) == ("4100 Discovery", "Consumer")
    assert [label for _, label in line["moves"]] == ["4100 Discovery", "No cost centre"]
    assert answer.context["heading"] == "2 teams; 1 has no cost centre"
    assert "until" in text(answer)


def test_queries_do_not_grow_with_the_names(
    finance: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(120):
        registry.create_feature(f"f{number}", actor="ann")
        ownership.own_feature(f"f{number}", "chat", actor="ann")

    with django_assert_max_num_queries(12):  # two of them are who asks
        answer = finance.get("/ownership/features/")
    with django_assert_max_num_queries(12):
        finance.get("/ownership/")

    assert len(answer.context["lists"][0]["lines"]) == 100
    assert len(finance.get("/ownership/features/?page=2").context["lists"][0]["lines"]) == 21


@pytest.mark.parametrize(("role", "teams"), [(Role.LEAD, ["search"]), (Role.VIEWER, [])])
def test_whoever_may_not_edit_reads_only(role: str, teams: list[str]) -> None:
    client = signed_in(role, *teams)
    registry.register_names(["new-one"], [], timezone.now())

    pages = [client.get(page) for page in (*TABS, FINDER, "/ownership/team/?slug=search")]

    assert {page.status_code for page in pages} == {200}
    # The one form is that of signing out.
    assert all(text(page).count('method="post"') == 1 for page in pages)
    assert client.get("/ownership/team/").status_code == 403
    assert client.post(FINDER, {"target": "chat"}).status_code == 403
    assert client.post("/ownership/team/", {"slug": "x"}).status_code == 403
    assert client.post("/ownership/confirm/feature/", {"slug": "new-one"}).status_code == 403
    assert Feature.objects.get(slug="new-one").state == "new"
    assert FeatureOwnership.objects.count() == 1


def test_an_outsider_sees_the_own_teams_only() -> None:
    client = signed_in(Role.ENGINEER, "chat")

    listed = client.get("/ownership/").context["lists"][0]["rows"]

    assert [row.entry.slug for row in listed] == ["chat"]
    assert client.get("/ownership/team/?slug=search").status_code == 404


def test_a_preview_says_what_moves_and_changes_nothing(finance: Client) -> None:
    spend()
    entries, rows = AuditEntry.objects.count(), list(Attribution.objects.values_list())

    answer = move(finance, preview="1")

    assert answer.status_code == 200
    preview = answer.context["preview"]
    assert preview.moved == Decimal(1)
    assert [(name, one.before, one.after) for name, one in preview.rows] == [("Chat", 0, 1), ("Search", 1, 0)]
    assert "Save this move" in text(answer)
    assert (AuditEntry.objects.count(), list(Attribution.objects.values_list())) == (entries, rows)


def test_only_the_move_that_was_previewed_is_saved(finance: Client) -> None:
    day = (today() - timedelta(days=2)).isoformat()
    shown = move(finance, preview="1", effective_from=day)
    said = text(shown).split('name="previewed" value="')[1].split('"')[0]

    other = move(finance, effective_from="", previewed=said)
    assert other.status_code == 200
    assert other.context["preview"] is not None
    assert FeatureOwnership.objects.count() == 1

    assert move(finance, effective_from=day, previewed=said).status_code == 302
    assert FeatureOwnership.objects.count() == 2


def test_a_day_ahead_moves_nothing_yet(finance: Client) -> None:
    spend()

    answer = move(finance, preview="1", effective_from=(today() + timedelta(days=60)).isoformat())

    assert answer.context["preview"].is_future
    assert "Nothing counted so far would move" in text(answer)


def test_a_move_holds_from_its_day_and_is_audited(finance: Client) -> None:
    day = today() - timedelta(days=1)

    answer = move(finance, effective_from=day.isoformat())

    assert (answer.status_code, answer["Location"]) == (302, FINDER)
    moves = FeatureOwnership.objects.order_by("pk").values_list("team__slug", "valid_from")
    assert list(moves) == [("search", None), ("chat", day)]
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.actor, entry.action) == ("finance@example.com", "feature.moved")
    page = finance.get(FINDER)
    assert "Finder is owned by Chat" in text(page)
    assert [label for _, label in page.context["moves"]] == ["Chat", "Search"]


def test_an_empty_day_is_since_ever_and_an_empty_choice_nobody(finance: Client) -> None:
    move(finance, target="")
    move(finance, "/ownership/team/?slug=chat", target="4100")

    owned = FeatureOwnership.objects.get()
    assert (owned.team, owned.valid_from) == (None, None)
    placed = TeamPlacement.objects.get(team__slug="chat")
    assert placed.cost_centre is not None
    assert (placed.cost_centre.slug, placed.valid_from) == ("4100", None)


def test_a_cost_centre_moves_to_a_business_unit_with_its_teams_cost(finance: Client) -> None:
    registry.create_business_unit("business", name="Business", actor="ann")
    spend()

    answer = move(finance, "/ownership/cost-centre/?slug=4100", target="business", preview="1")
    assert [(name, one.change) for name, one in answer.context["preview"].rows] == [
        ("Business", 1),
        ("Consumer", -1),
    ]

    move(finance, "/ownership/cost-centre/?slug=4100", target="business")
    assert Attribution.objects.get(known_to=None).business_unit == "business"


@pytest.mark.parametrize("fields", [{"effective_from": "yesterday"}, {"target": "nobody-knows"}])
def test_what_is_wrong_is_told_with_a_link_to_its_field(finance: Client, fields: dict[str, str]) -> None:
    answer = move(finance, **fields)

    assert answer.status_code == 422
    assert f'href="#id_{next(iter(fields))}"' in text(answer)
    assert FeatureOwnership.objects.count() == 1


def test_a_change_made_meanwhile_is_told_and_not_overwritten(finance: Client) -> None:
    seen = finance.get(FINDER).context["moving"].initial["seen"]
    ownership.own_feature("finder", None, actor="bob@example.com")

    answer = move(finance, seen=seen)

    assert answer.status_code == 409
    assert "bob@example.com changed this" in text(answer)
    assert FeatureOwnership.objects.get().team is None
    assert move(finance, seen=answer.context["moving"].initial["seen"]).status_code == 302


def test_new_names_are_confirmed_one_by_one_or_all_that_were_shown(finance: Client) -> None:
    registry.register_names(["b", "a", "c"], ["gold"], timezone.now())
    page = finance.get("/ownership/features/")
    assert [row.entry.slug for row in page.context["new_names"]] == ["a", "b", "c"]
    assert "Features (3 new)" in text(page)
    registry.register_names(["came-meanwhile"], [], timezone.now())

    one = finance.post("/ownership/confirm/tier/", {"slug": "gold"}, follow=True)
    several = finance.post("/ownership/confirm/feature/", {"slug": ["a", "b", "c"]}, follow=True)

    assert one.redirect_chain == [("/ownership/tiers/", 302)]
    assert "gold was confirmed." in text(one)
    assert "3 features were confirmed." in text(several)
    assert list(Feature.objects.filter(state="new").values_list("slug", flat=True)) == ["came-meanwhile"]
    assert Tier.objects.get().state == "confirmed"
    assert finance.post("/ownership/confirm/feature/", {"slug": "gone"}).status_code == 404
    assert finance.post("/ownership/confirm/team/", {"slug": "search"}).status_code == 404


@pytest.mark.parametrize(
    ("kind", "target", "tab"),
    [
        ("team", "4100", "/ownership/"),
        ("feature", "chat", "/ownership/features/"),
        ("tier", None, "/ownership/tiers/"),
        ("cost-centre", "consumer", "/ownership/cost-centres/"),
        ("business-unit", None, "/ownership/cost-centres/"),
    ],
)
def test_each_kind_can_be_added(finance: Client, kind: str, target: str | None, tab: str) -> None:
    placing = {"target": target, "effective_from": ""} if target else {}

    answer = finance.post(f"/ownership/{kind}/", {"slug": "fresh", "name": "Fresh", **placing}, follow=True)

    assert answer.redirect_chain == [(tab, 302)]
    row = next(row for one in answer.context["lists"] for row in one["rows"] if row.entry.slug == "fresh")
    assert (row.entry.name, row.target) == ("Fresh", target)


def test_a_new_team_is_previewed_with_the_calls_that_named_it(finance: Client) -> None:
    made = dimension_set(team="ads")
    slot = price_slot({Meter.INPUT: "1.25"})
    book([Call(datetime.now(UTC), made, slot, {"input": 10**6})])
    rollups.fold()

    answer = finance.post("/ownership/team/", {"slug": "ads", "target": "", "preview": "1"})

    assert answer.context["preview"].moved == Decimal(1)
    assert not Team.objects.filter(slug="ads").exists()


@pytest.mark.parametrize("slug", ["search", " search", "", "x" * 129])
def test_a_slug_that_is_taken_or_no_slug_is_refused(finance: Client, slug: str) -> None:
    answer = finance.post("/ownership/team/", {"slug": slug, "name": "", "target": "4100"})

    assert answer.status_code == 422
    assert 'href="#id_slug"' in text(answer)
    assert Team.objects.count() == 2


def test_a_name_is_changed_and_its_slug_stays(finance: Client) -> None:
    finance.post(FINDER, {"name-name": "Site search", "rename": "1"})

    assert Feature.objects.get(slug="finder").name == "Site search"
    assert finance.post(FINDER, {"name-name": " ", "rename": "1"}).status_code == 422
    finance.post("/ownership/business-unit/?slug=consumer", {"name-name": "B2C", "rename": "1"})
    assert BusinessUnit.objects.get().name == "B2C"


def test_names_with_any_letters_have_a_page(finance: Client) -> None:
    for slug in ("a/b", "ü&x=1#?", "100%"):
        registry.create_feature(slug, actor="ann")

    page = finance.get("/ownership/features/")

    links = [part.split('"')[0] for part in text(page).split('href="/ownership/feature/?slug=')[1:]]
    for link in set(links):
        assert finance.get(f"/ownership/feature/?slug={link}").status_code == 200
    assert finance.get("/ownership/feature/?slug=gone").status_code == 404
    assert finance.get("/ownership/planet/").status_code == 404


def test_another_sites_form_changes_nothing() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(add_person("finance@example.com", role=Role.FINANCE, actor="test"))

    assert move(client).status_code == 403
    assert FeatureOwnership.objects.count() == 1


def test_an_empty_organisation_says_how_to_begin(finance: Client) -> None:
    FeatureOwnership.objects.all().delete()
    TeamPlacement.objects.all().delete()
    Team.objects.all().delete()

    answer = finance.get("/ownership/")

    assert answer.context["heading"] == "No teams"
    assert "Events never invent a team" in text(answer)
