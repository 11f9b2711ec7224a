"""Imports on screen: uploaded, looked at, started, watched, and undone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from attribution import imports, rollups
from attribution.ingest import writer
from attribution.models import DataImport, ImportState
from attribution.views import imports as screen
from finops.accounts.models import Role
from tests import price_list
from tests.signing_in import signed_in, text

pytestmark = pytest.mark.django_db(transaction=True)
AT = (datetime.now(UTC) - timedelta(days=2)).replace(microsecond=0).isoformat()
CSV = f"when,vendor,model,in,out,who\n{AT},openai,gpt-4o,1000000,0,search\n{AT},,gpt-4o,5,0,search\n".encode()
MAPPED = {
    "file_format": "csv",
    "source": "",
    "constants": "environment=prod",
    "column-0": "occurred_at",
    "column-1": "provider",
    "column-3": "usage.input_tokens",
    "column-4": "usage.output_tokens",
    "column-5": "team",
}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.IMPORTS_DIR = tmp_path / "imports"
    writer.forget()
    price_list.load()
    # As without a broker: what waits is found by ``resume``.
    monkeypatch.setattr(screen, "_hand_over", lambda _number: None)


@pytest.fixture
def finance() -> Client:
    return signed_in(Role.FINANCE)


def upload(client: Client, content: bytes = CSV, *, name: str = "calls.csv", form: str = "csv") -> Any:
    return client.post("/imports/", {"file": SimpleUploadedFile(name, content), "file_format": form})


def test_a_file_is_uploaded_looked_at_mapped_imported_and_undone(finance: Client) -> None:
    page = upload(finance)["Location"]
    first = text(finance.get(page))
    assert "2 would be refused" in first
    assert "This field is required" in first

    assert finance.post(page, {**MAPPED, "look": "1"})["Location"] == page
    shown = text(finance.get(page))
    assert "1 would be refused" in shown
    assert "$2.50" in shown
    assert not DataImport.objects.get().accepted

    finance.post(page, {**MAPPED, "start": "1"})
    waiting = text(finance.get(page))
    assert "Waiting" in waiting
    assert 'hx-trigger="every 2s"' in waiting

    imports.resume()
    rollups.fold()
    done = text(finance.get(page, headers={"HX-Request": "true"}))
    assert "Done" in done
    assert "every 2s" not in done
    assert "<html" not in done
    assert "Undo this import" in done
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(list_cost) FROM cost_day")
        assert float(cursor.fetchone()[0]) == 2.5
    refused = b"".join(finance.get(f"{page}refused.csv").streaming_content).decode()  # type: ignore[attr-defined]
    assert "provider" in refused
    assert "finance@example.com" in text(finance.get("/imports/"))

    finance.post(page, {"undo": "1"})
    rollups.fold()
    assert "1 calls of calls.csv were taken out" in text(finance.get(page))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cost_day")
        assert cursor.fetchone() == (0,)


def test_what_was_not_looked_at_as_it_is_read_is_not_imported(finance: Client) -> None:
    page = upload(finance)["Location"]
    answer = finance.post(page, {**MAPPED, "start": "1"}, follow=True)
    assert "look at the rows, then start again" in text(answer)
    assert DataImport.objects.get().state == ImportState.DRAFT


def test_a_report_of_a_provider_is_shown_with_the_price_of_its_row(finance: Client) -> None:
    day = int((datetime.now(UTC) - timedelta(days=3)).timestamp()) // 86_400 * 86_400
    row = {"input_tokens": 4_000_000, "output_tokens": 0, "num_model_requests": 4_000, "model": "gpt-6-astra"}
    report = {"data": [{"start_time": day, "end_time": day + 86_400, "results": [row]}]}

    page = upload(finance, json.dumps(report).encode(), name="usage.json", form="openai_usage")["Location"]

    assert "$40.00" in text(finance.get(page))


@pytest.mark.parametrize(
    ("content", "form"), [(b"\x1f\x8bbroken", "csv"), (b"[{", "native"), (b"PAR1nothing", "focus")]
)
def test_a_file_that_cannot_be_read_says_so_and_can_be_left(
    finance: Client, content: bytes, form: str
) -> None:
    page = upload(finance, content, form=form)["Location"]
    assert "cannot be read like this" in text(finance.get(page))
    finance.post(page, {"drop": "1"})
    assert not DataImport.objects.exists()
    assert finance.get(page).status_code == 404


def test_a_file_above_the_bound_is_kept_nowhere(finance: Client, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 20
    answer = upload(finance)
    assert answer.status_code == 422
    assert "Larger than 20 bytes" in text(answer)
    assert not DataImport.objects.exists()


@pytest.mark.parametrize(
    "wrong", [{"constants": "no sign"}, {"constants": "colour=red"}, {"column-2": "occurred_at"}]
)
def test_a_layout_that_is_none_is_refused_at_its_field(finance: Client, wrong: dict[str, str]) -> None:
    page = upload(finance)["Location"]
    assert finance.post(page, {**MAPPED, **wrong, "look": "1"}).status_code == 422
    assert DataImport.objects.get().options == {}


def test_who_may_do_what() -> None:
    page = upload(signed_in(Role.FINANCE))["Location"]
    viewer, lead = signed_in(Role.VIEWER), signed_in(Role.LEAD, "search")
    assert viewer.get("/imports/").status_code == 200
    assert "Upload and look" not in text(viewer.get("/imports/"))
    assert viewer.get(page).status_code == 404
    assert upload(viewer).status_code == 403
    assert lead.get("/imports/").status_code == 403
    assert Client().get("/imports/").status_code == 302
    assert signed_in(Role.PLATFORM).get(page).status_code == 200
    DataImport.objects.update(state=ImportState.DONE)
    assert viewer.get(page).status_code == 200
    assert viewer.post(page, {"undo": "1"}).status_code == 403
    assert viewer.get(f"{page}refused.csv").status_code == 403


def test_a_problem_of_undoing_is_shown_where_it_was_asked(finance: Client) -> None:
    page = upload(finance)["Location"]
    DataImport.objects.update(state=ImportState.RUNNING)
    answer = finance.post(page, {"undo": "1"})
    assert answer.status_code == 409
    assert "Only an import that has ended can be undone" in text(answer)


def test_an_empty_history_says_what_could_be_there(finance: Client) -> None:
    answer = text(finance.get("/imports/"))
    assert "No file was imported yet" in answer
    assert "style=" not in answer
