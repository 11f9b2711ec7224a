"""The screens of prices: what they show, who may change what, and what happens when they do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from openpyxl import load_workbook
from pytest_django import DjangoAssertNumQueries

from attribution import registry
from finops.accounts.models import AuditEntry, Role
from pricing import drafts
from pricing.models import BookVersion, Price, Rate, VersionStatus
from tests import price_list
from tests.pricing.test_drafts import TOMORROW, acknowledged, drafted, in_book
from tests.pricing.test_publishing import price
from tests.signing_in import signed_in, text

pytestmark = pytest.mark.django_db
PEAK = {"name": "peak", "windows": [["01:00", "04:00"]], "days": [0, 1]}
PAGES = ("/prices/", "/prices/versions/", "/prices/import/", "/prices/health/")


@pytest.fixture
def finance() -> Client:
    return signed_in(Role.FINANCE)


def page_of(version: BookVersion) -> str:
    return f"/prices/versions/{version.pk}/"


@pytest.mark.parametrize("page", [*PAGES, "/prices/export.csv", "/prices/model/?provider=a&model=b"])
def test_a_stranger_is_sent_to_sign_in(client: Client, page: str) -> None:
    assert client.get(page)["Location"].startswith("/accounts/login/?next=/prices/")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_one_heading_and_no_inline_code(finance: Client, page: str) -> None:
    answer = finance.get(page)

    assert (answer.status_code, text(answer).count("<h1")) == (200, 1)
    assert " style=" not in text(answer)


def test_list_shows_what_is_in_force_on_a_day_and_can_be_narrowed(
    finance: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    cut = datetime(2026, 6, 1, tzinfo=UTC)
    other = Price(provider="other", model="x", evidence="own")
    in_book(
        price("gpt-1", "2.5", effective_to=cut),
        price("gpt-1", "3", effective_from=cut),
        price("later", "9", effective_from=TOMORROW),
        (other, [Rate(meter="web_search_calls", unit_price=Decimal(10), per=1000)]),
    )

    def lines(**query: str) -> list[tuple[str, str, str]]:
        answer = finance.get("/prices/", query)
        assert answer.status_code == 200
        return [
            (line.shown.price.model, str(line.shown.amount.normalize()), line.shown.unit)
            for line, _ in answer.context["lines"]
        ]

    assert lines() == [("gpt-1", "3", "1M tokens"), ("x", "1E+1", "1,000")]
    assert lines(on="2026-05-31") == [("gpt-1", "2.5", "1M tokens"), ("x", "1E+1", "1,000")]
    assert lines(provider="other") == [("x", "1E+1", "1,000")]
    assert lines(q="GPT", when="any") == [("gpt-1", "2.5", "1M tokens"), ("gpt-1", "3", "1M tokens")]
    assert lines(when="later") == [("later", "9", "1M tokens")]
    assert lines(q="nothing") == []
    assert finance.get("/prices/?on=june").status_code == 400
    with django_assert_max_num_queries(16):
        finance.get("/prices/")


def test_export_has_the_rows_of_the_page_with_every_digit(finance: Client) -> None:
    in_book(price("m", "0.123456789", effective_from=datetime(2026, 1, 1, tzinfo=UTC)), price("n", "1"))

    answer = finance.get("/prices/export.csv?q=m")

    rows = answer.getvalue().decode("utf-8-sig").splitlines()
    assert len(rows) == 2
    assert rows[1].startswith("acme,m,,input,0.123456789,1000000,2026-01-01T00:00:00+00:00,,")
    book = load_workbook(BytesIO(finance.get("/prices/export.xlsx").getvalue()))
    assert book["Data"].max_row == 3
    assert finance.get("/prices/export.pdf").status_code == 404


def test_model_page_tells_of_every_price_it_ever_had(finance: Client) -> None:
    first = in_book(price("m", "1", source="their page https://acme.example/pricing"))
    version = drafted(price("m", "2", effective_from=TOMORROW))
    drafts.review(acknowledged(version), by="bob")
    drafts.publish(version, by="bob")

    answer = finance.get("/prices/model/?provider=acme&model=M")

    (track,) = answer.context["tracks"]
    assert [(row.state, row.lines[0].shown.amount) for row in track.rows] == [
        ("Later", 2),
        ("In force", 1),
        ("Superseded", 1),
    ]
    assert "in force, 3 in all" in text(answer)
    assert f"/prices/versions/{first.pk}/" in text(answer)
    assert 'href="https://acme.example/pricing"' in text(answer)
    assert finance.get("/prices/model/?provider=acme&model=lost").status_code == 404


def test_price_that_ends_with_nothing_after_it_is_warned_of(finance: Client) -> None:
    ends = TOMORROW + timedelta(days=3)
    in_book(
        price("promo", "1", effective_to=ends),
        price("step", "1", effective_to=ends),
        price("step", "2", effective_from=ends),
    )

    assert "1 price ends soon and nothing follows" in " ".join(text(finance.get("/prices/")).split())
    told = finance.get("/prices/health/").context
    assert [one.price.model for one in told["expiring"]] == ["promo"]
    assert [one.price.model for one in told["followed"]] == ["step"]
    assert "unpriced from then on" in text(finance.get("/prices/model/?provider=acme&model=promo"))


def test_draft_is_looked_at_acknowledged_reviewed_and_published_on_its_page(finance: Client) -> None:
    in_book(price("m", "1"))
    version = drafted(price("m", "2", effective_from=TOMORROW))
    page = page_of(version)
    (block,) = version.blocks.all()
    assert "+100.0%" in text(finance.get(page))

    refused = finance.post(page, {"review": "1"})
    assert (refused.status_code, "must be acknowledged" in text(refused)) == (409, True)
    assert finance.post(page, {"acknowledge": block.pk, f"reason-{block.pk}": " "}).status_code == 422
    finance.post(page, {"acknowledge": block.pk, f"reason-{block.pk}": "announced"})
    finance.post(page, {"review": "1"})
    done = finance.post(page, {"publish": "1"}, follow=True)

    assert "Published: it is in force." in text(done)
    version.refresh_from_db()
    assert (version.reviewed_by, version.published_by) == ("finance@example.com",) * 2
    assert list(
        AuditEntry.objects.filter(subject=str(version)).order_by("pk").values_list("action", flat=True)
    ) == [f"price_version.{step}" for step in ("drafted", "changed", "acknowledged", "reviewed", "published")]
    assert finance.post(page, {"discard": "1"}).status_code == 409


def test_model_can_be_left_out_and_draft_discarded_on_its_page(finance: Client) -> None:
    version = drafted(price("m", "1"), price("a/b", "1"))

    finance.post(page_of(version), {"leave_out": "acme/a/b"})
    assert [row.model for row in Price.objects.filter(version=version)] == ["m"]
    finance.post(page_of(version), {"discard": "1"})

    version.refresh_from_db()
    assert version.status == VersionStatus.DISCARDED
    assert "Discarded" in text(finance.get("/prices/versions/"))
    assert finance.post(page_of(version), {}).status_code == 404


@pytest.mark.parametrize(("role", "teams"), [(Role.ENGINEER, ["x"]), (Role.LEAD, ["x"]), (Role.VIEWER, [])])
def test_others_see_and_do_not_change(finance: Client, role: str, teams: list[str]) -> None:
    if teams:
        registry.create_team("x", name="X", actor="ann")
    version = drafted(price("m", "1"))
    other = signed_in(role, *teams)

    for page in (*PAGES, page_of(version)):
        answer = other.get(page)
        assert answer.status_code == 200, page
        assert 'name="review"' not in text(answer)
    assert other.post(page_of(version), {"review": "1"}).status_code == 403
    assert other.post("/prices/import/", {"library": "1"}).status_code == 403


def test_sheet_uploaded_on_the_page_becomes_a_draft(finance: Client) -> None:
    def upload(content: bytes, **said: str) -> Any:
        file = SimpleUploadedFile("acme.csv", content)
        told = {"file": file, "apply_from": f"{TOMORROW:%Y-%m-%d}", "sheet": "1", **said}
        return finance.post("/prices/import/", told)

    answer = upload(b"provider,model,input\nacme,m,1\n")
    version = BookVersion.objects.get()
    assert answer["Location"] == page_of(version)
    assert (version.created_by, version.origin) == ("finance@example.com", "acme.csv")

    wrong = upload(b"provider,model,input\nacme,m,x\n")
    assert (wrong.status_code, "line 2, input" in text(wrong)) == (422, True)
    assert upload(b"").status_code == 422


def test_library_is_compared_on_the_page(finance: Client) -> None:
    row = Price(provider="anthropic", model="claude-2", evidence="library")
    in_book((row, [Rate(meter="input", unit_price=Decimal(1))]))

    told = {"library-apply_from": f"{TOMORROW:%Y-%m-%d}", "library-providers": ["anthropic"], "library": "1"}
    answer = finance.post("/prices/import/", told, follow=True)

    assert answer.status_code == 200
    assert "claude-2" in text(answer)
    assert "1 changed" in text(answer)


def test_whole_book_is_shown_in_few_queries(
    finance: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    price_list.load()

    with django_assert_max_num_queries(16):
        answer = finance.get("/prices/")
    assert answer.context["total"] > 500
    assert len(answer.context["lines"]) == 100
    assert len(answer.content) < 200_000
    version = BookVersion.objects.get()
    with django_assert_max_num_queries(18):
        assert finance.get(page_of(version)).status_code == 200
    assert timezone.now() > version.created_at


def test_price_is_corrected_by_hand_into_a_draft(finance: Client) -> None:
    in_book(
        price("m", "2", context_threshold=200_000, context_operator="ge", service_tier="flex", schedule=PEAK)
    )
    row = Price.objects.get()
    form = finance.get(f"/prices/enter/?price={row.pk}").context["form"]
    told = {name: form[name].value() or "" for name in form.fields}
    assert (told["context"], told["input"], told["service_tier"]) == (">=200000", "2", "flex")
    assert told["effective_from"] == f"{TOMORROW:%Y-%m-%d}"

    wrong = finance.post("/prices/enter/", {**told, "input": "x", "effective_from": "soon"})
    assert (wrong.status_code, set(wrong.context["form"].errors)) == (422, {"input", "effective_from"})
    assert "Give a day or a time." in text(wrong)
    assert not BookVersion.objects.filter(status=VersionStatus.DRAFT).exists()

    new = {**told, "input": "2.2", "units": "searches=1/1000:2", "effective_from": f"{TOMORROW:%Y-%m-%d}"}
    made = finance.post("/prices/enter/", new)
    version = BookVersion.objects.get(status=VersionStatus.DRAFT)
    assert made["Location"] == page_of(version)
    spans = Price.objects.filter(version=version).order_by("pk").values_list("effective_from", "effective_to")
    assert set(spans) == {(None, TOMORROW), (TOMORROW, None)}
    assert [row.schedule for row in Price.objects.filter(version=version)] == [PEAK, PEAK]
    assert Rate.objects.get(price__version=version, meter="searches").minimum == 2

    again = {**told, "model": "other", "draft": str(version.pk)}
    finance.post("/prices/enter/", again)
    assert Price.objects.filter(version=version, model="other").exists()


def test_price_is_entered_only_by_those_who_may() -> None:
    assert signed_in(Role.VIEWER).get("/prices/enter/").status_code == 403
