"""Sheets and the library become drafts: what is read, what is refused, what is proposed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from finops.core.errors import Conflict, InvalidInput
from pricing import imports, library
from pricing.diffs import ChangeKind, diff
from pricing.drafts import NothingChanged
from pricing.models import BlockKind, BookVersion, Price, Rate
from tests.pricing.test_drafts import TOMORROW, in_book
from tests.pricing.test_publishing import price

pytestmark = pytest.mark.django_db
HEAD = "provider,model,service_tier,context,from,to,input,cache_read,output,units,kind,source"


def sheet(*lines: str, complete: bool = False) -> BookVersion:
    content = "\n".join((HEAD, *lines)).encode()
    return imports.import_sheet(
        content, name="sheet.csv", by="ann", apply_from=TOMORROW, is_complete=complete
    )


def told(version: BookVersion) -> list[tuple[str, str, object]]:
    return [(change.kind, change.price.model, change.span) for change in diff(version).changes]


def test_sheet_becomes_prices_of_every_kind() -> None:
    version = sheet(
        "Acme,m,,,,,1.5,0.15,6,web_search_calls=10/1000,,their page",
        "acme,m,priority,,,,3,,12,,,",
        "acme,m,,>=200000,2026-01-01,2026-07-01T12:00:00Z,2,,9,,,",
        "acme,*,,,,,,,,file_search_calls=2.5/1000:1,fees,",
    )

    rows = Price.objects.filter(version=version).order_by("pk").prefetch_related("rates")
    plain, priority, band, fees = rows
    assert {rate.meter: (rate.unit_price, rate.per) for rate in plain.rates.all()} == {
        "input": (Decimal("1.5"), 1_000_000),
        "cache_read": (Decimal("0.15"), 1_000_000),
        "output": (Decimal(6), 1_000_000),
        "web_search_calls": (Decimal(10), 1000),
    }
    assert (plain.provider, plain.source, plain.evidence) == ("acme", "their page", "own")
    assert priority.service_tier == "priority"
    assert (band.context_threshold, band.context_operator) == (200_000, "ge")
    assert (band.effective_from, band.effective_to) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 7, 1, 12, tzinfo=UTC),
    )
    assert (fees.kind, fees.service_tier, fees.rates.get().minimum) == ("fees", "", 1)


def test_row_without_a_date_applies_from_the_given_day_and_what_is_the_same_stays() -> None:
    in_book(price("m", "1"), price("same", "1"))

    version = sheet("acme,m,,,,,1.1,,,,,", "acme,same,,,,,1,,,,,", "acme,new,,,,,1,,,,,")

    assert told(version) == [
        (ChangeKind.CHANGED, "m", (TOMORROW, None)),
        (ChangeKind.NEW, "new", (None, None)),
    ]
    assert not version.blocks.exists()


def test_price_that_is_known_to_end_keeps_its_end() -> None:
    end = datetime(2031, 1, 1, tzinfo=UTC)
    in_book(price("m", "1", effective_to=end), price("m", "9", effective_from=end))

    version = sheet("acme,m,,,,,1.1,,,,,")

    assert told(version) == [(ChangeKind.CHANGED, "m", (TOMORROW, end))]


def test_date_in_the_past_is_a_change_of_the_past() -> None:
    in_book(price("m", "1"))

    version = sheet("acme,m,,,2026-01-01,,1.1,,,,,")

    assert told(version) == [(ChangeKind.CHANGED, "m", (datetime(2026, 1, 1, tzinfo=UTC), None))]
    assert [block.kind for block in version.blocks.all()] == [BlockKind.RETROACTIVE]


def test_complete_sheet_ends_what_it_does_not_list_of_its_providers() -> None:
    other = Price(provider="other", model="x", evidence="own")
    in_book(price("m", "1"), price("gone", "1"), (other, [Rate(meter="input", unit_price=Decimal(1))]))

    version = sheet("acme,m,,,,,1,,,,,", complete=True)

    assert told(version) == [(ChangeKind.ENDED, "gone", (TOMORROW, None))]


def test_sheet_that_says_what_the_book_says_makes_no_draft() -> None:
    in_book(price("m", "1"))

    with pytest.raises(NothingChanged):
        sheet("acme,m,,,,,1,,,,,")
    assert BookVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("acme,m,,,,,x,,,,,", "line 2, input"),
        ("acme,m,,,,,-1,,,,,", "line 2, input"),
        ("acme,,,,,,1,,,,,", "line 2, model"),
        ("acme,m,,200000,,,1,,,,,", "line 2, context"),
        ("acme,m,,,yesterday,,1,,,,,", "line 2, from"),
        ("acme,m,,,2026-01-02,2026-01-01,1,,,,,", "line 2, to"),
        ("acme,m,,,,,,,,web_search_calls=10,,", "line 2, units"),
        ("acme,m,,,,,,,,,,", "line 2, rates"),
        ("acme,m,,,,,1,,,", "line 2"),
    ],
)
def test_mistake_in_a_sheet_is_named_by_line_and_column(line: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        sheet(line)

    assert [problem.field for problem in refused.value.problems] == [field]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no prices|Missing columns"),
        (b"provider,model\n", "no prices"),
        (b"provider,input\nacme,1\n", "Missing columns: model"),
        (b"provider,model,prize\nacme,m,1\n", "Unknown columns: prize"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_file_that_is_no_sheet_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        imports.import_sheet(content, name="x", by="ann", apply_from=TOMORROW)


def test_json_sheet_is_read_exactly() -> None:
    prices = [{"provider": "acme", "model": "m", "rates": [{"meter": "input", "unit_price": 0.1}]}]

    version = imports.import_sheet(
        json.dumps({"prices": prices}).encode(), name="x.json", by="ann", apply_from=TOMORROW, is_json=True
    )

    assert Rate.objects.get(price__version=version).unit_price == Decimal("0.1")
    with pytest.raises(InvalidInput, match=r"prices\.0\.rates"):
        imports.import_sheet(
            b'[{"provider": "acme", "model": "n"}]', name="x", by="ann", apply_from=TOMORROW, is_json=True
        )
    with pytest.raises(InvalidInput, match="not JSON"):
        imports.import_sheet(b"{", name="x", by="ann", apply_from=TOMORROW, is_json=True)


def openai(model: str, dearness: str, evidence: str, **fields: object) -> tuple[Price, list[Rate]]:
    row = Price(provider="openai", model=model, evidence=evidence, **fields)
    return row, [Rate(meter="input", unit_price=Decimal(dearness))]


def test_library_proposes_what_rests_on_nothing_better() -> None:
    in_book(openai("gpt-4o", "1", "library"), openai("gpt-4o-mini", "1", "provider"))

    version = imports.import_library(by="ann", apply_from=TOMORROW)

    changes = {change.price.model: change for change in diff(version).changes}
    assert changes["gpt-4o"].kind == ChangeKind.CHANGED
    assert changes["gpt-4o"].span == (TOMORROW, None)
    assert {line.meter: line.after and line.after.unit_price for line in changes["gpt-4o"].rates}[
        "input"
    ] == Decimal("2.5")
    assert "gpt-4o-mini" not in changes
    assert "openai/gpt-4o-mini: input is $1 per 1,000,000 here, $0.15" in version.note
    assert changes["gpt-3.5-turbo"].kind == ChangeKind.NEW
    assert version.origin == library.name()
    assert {block.kind for block in version.blocks.filter(model="gpt-4o")} == {BlockKind.JUMP}


def test_library_that_contradicts_the_provider_is_a_conflict_to_be_acknowledged() -> None:
    in_book(openai("gpt-4o-mini", "0.16", "provider", source="their page"))

    version = imports.import_library(by="ann", apply_from=TOMORROW, keeps_first_hand=False)

    (block,) = version.blocks.filter(model="gpt-4o-mini")
    assert block.kind == BlockKind.CONFLICT
    assert "$0.16 per 1M by their page" in " ".join(block.findings)


def test_own_sheet_that_the_library_contradicts_is_a_conflict_too() -> None:
    version = sheet("openai,gpt-4o,,,,,2.6,,10,,,")

    (block,) = version.blocks.all()
    assert block.kind == BlockKind.CONFLICT
    assert "input is $2.6 per 1M here, and $2.5 per 1M by genai-prices" in block.findings[0]


def test_what_the_library_lists_no_more_ends() -> None:
    stale = openai("gpt-0-forgotten", "1", "library", source="genai-prices 0.0.1 (MIT)")
    in_book(stale)

    version = imports.import_library(by="ann", apply_from=TOMORROW)

    ended = diff(version).of_kind(ChangeKind.ENDED)
    assert [(change.price.model, change.span) for change in ended] == [("gpt-0-forgotten", (TOMORROW, None))]


def test_library_that_is_not_installed_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "PACKAGE", "no-such-package")
    library._version.cache_clear()
    try:
        with pytest.raises(Conflict, match="no-such-package is not installed"):
            imports.import_library(by="ann", apply_from=TOMORROW)
    finally:
        library._version.cache_clear()


def test_command_makes_the_same_draft_as_the_api(tmp_path: Path) -> None:
    path, said = tmp_path / "acme.csv", StringIO()
    path.write_text("provider,model,input\nacme,m,1\n")

    call_command("import_prices", str(path), stdout=said)

    version = BookVersion.objects.get()
    assert (version.status, version.origin) == ("draft", "acme.csv")
    assert "1 new, 0 changed, 0 ended" in said.getvalue()
    assert "acme/m" in said.getvalue()
    path.write_text("provider,model,input\nacme,m,x\n")
    with pytest.raises(CommandError, match="line 2, input"):
        call_command("import_prices", str(path))
    with pytest.raises(CommandError, match=r"a file, or --library"):
        call_command("import_prices")
