"""A period of a provider's report is in the books once, however it is summed and whichever way it comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from attribution import imports, refused_rows
from attribution.ingest import report_periods, writer
from attribution.ingest.files import SourceFile
from attribution.ingest.formats import FORMATS
from attribution.ingest.intake import Sender, admit
from attribution.ingest.layout import Layout
from attribution.ingest.native import from_records
from attribution.ingest.usage_exports import openai_events
from attribution.models import DataImport, Quarantined, ReportPeriod
from attribution.quarantining import replay
from finops.accounts.models import Role, User
from finops.accounts.permissions import principal_of_person
from finops.core.errors import InvalidInput, Unavailable
from tests.attribution.ingest.conftest import rows
from tests.attribution.ingest.test_usage_exports import (
    DAY,
    Json,
    anthropic_result,
    import_events,
    openai_result,
    page,
    report,
    written,
)

pytestmark = pytest.mark.django_db
DAY_OF_FIRST = "2026-09-01 00:00 to 2026-09-02 00:00 UTC"


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, settings: Any) -> None:
    settings.IMPORTS_DIR = tmp_path / "imports"


def hourly(*results: Json, hours: range = range(24)) -> Json:
    buckets = [
        {"start_time": DAY + 3_600 * hour, "end_time": DAY + 3_600 * (hour + 1), "results": list(results)}
        for hour in hours
    ]
    return {"object": "page", "data": buckets}


def brought(tmp_path: Path, content: Any, form: str = "openai_usage") -> tuple[int, int, int]:
    """Accepted, duplicates, refused of an import."""
    import_events(written(tmp_path, content), form)
    made = DataImport.objects.order_by("pk").last()
    assert made is not None
    return made.accepted, made.duplicates, made.refused


def refusals() -> list[list[str]]:
    made = DataImport.objects.order_by("pk").last()
    assert made is not None
    return list(refused_rows.of(made.pk))


def test_hours_after_their_day_are_refused_row_by_row(tmp_path: Path) -> None:
    assert brought(tmp_path, page(openai_result())) == (1, 0, 0)
    first = DataImport.objects.get()

    others = {"api_key_id": "key_2"}
    told = brought(tmp_path, hourly(openai_result(), openai_result(**others), hours=range(2)))

    assert told == (2, 0, 2)
    assert [row[:1] + row[2:] for row in refusals()] == [
        [
            str(number),
            "occurred_at",
            "covered",
            f"Already covered by the import export.json ({first.pk}), {DAY_OF_FIRST}.",
        ]
        for number in (1, 3)
    ]
    assert Quarantined.objects.filter(code="covered").count() == 2


def test_a_day_after_its_hours_is_refused(tmp_path: Path) -> None:
    assert brought(tmp_path, hourly(openai_result())) == (24, 0, 0)

    assert brought(tmp_path, page(openai_result())) == (0, 0, 1)
    assert brought(tmp_path, page(openai_result(), start=DAY + 86_400)) == (1, 0, 0)
    assert brought(tmp_path, page(openai_result(model="gpt-5"))) == (1, 0, 0)


def test_a_day_and_its_hours_in_one_file_are_booked_once(tmp_path: Path) -> None:
    both = [*page(openai_result())["data"], *hourly(openai_result())["data"]]

    assert brought(tmp_path, both) == (1, 0, 24)


def test_a_sum_of_all_keys_and_one_of_each_are_the_same_usage(tmp_path: Path) -> None:
    each = page(openai_result(), openai_result(api_key_id="key_2"), openai_result(api_key_id=None))
    assert brought(tmp_path, each) == (3, 0, 0)  # of one report: its names tell them apart

    assert brought(tmp_path, page(openai_result(api_key_id=None, user_id="u-1"))) == (0, 0, 1)
    assert brought(tmp_path, page(openai_result(project_id=None))) == (0, 0, 1)
    assert brought(tmp_path, page(openai_result(project_id="proj_2"))) == (1, 0, 0)


def test_the_same_file_again_is_duplicates_and_an_undone_one_makes_room(tmp_path: Path) -> None:
    each = page(openai_result(), openai_result(api_key_id=None))
    assert brought(tmp_path, each) == (2, 0, 0)
    first = DataImport.objects.get()
    assert brought(tmp_path, each) == (0, 2, 0)
    assert brought(tmp_path, hourly(openai_result())) == (0, 0, 24)

    assert imports.undo(first.pk, actor="ann") == 2

    assert not ReportPeriod.objects.exists()
    assert brought(tmp_path, hourly(openai_result())) == (24, 0, 0)


def test_an_import_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path = written(tmp_path, hourly(openai_result(), openai_result(api_key_id=None)))
    form = FORMATS["openai_usage"]
    made = DataImport.objects.create(file_name="x", file_format="openai_usage", options=options())

    class Killed(Exception):
        pass

    def die(position: int) -> None:
        raise Killed

    with SourceFile(path, form.contents) as file, pytest.raises(Killed):
        imports.follow(made, file, batch=10, progress=die)
    writer.forget()
    with SourceFile(path, form.contents) as file:
        summary = imports.follow(made, file, batch=10)

    assert (summary.accepted, summary.duplicates, summary.quarantined) == (38, 10, 0)


def test_a_database_that_is_away_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    (record,) = openai_events(page(openai_result())["data"])
    post = admit(from_records([record]), Sender("files"))
    monkeypatch.setattr(report_periods, "_COVERED", "SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(Unavailable):
        report_periods.claim(post)


def options() -> dict[str, Any]:
    return imports.options_of(Layout({}, {}), None)


def test_anthropic_is_told_by_workspace_key_and_model(tmp_path: Path) -> None:
    hour = {
        "starting_at": "2026-09-01T05:00:00Z",
        "ending_at": "2026-09-01T06:00:00Z",
        "results": [anthropic_result(), anthropic_result(workspace_id="wrkspc_2")],
    }
    assert brought(tmp_path, report(anthropic_result()), "anthropic_usage") == (1, 0, 0)

    assert brought(tmp_path, {"data": [hour]}, "anthropic_usage") == (1, 0, 1)


def test_a_refused_row_is_replayed_only_once_there_is_room(tmp_path: Path) -> None:
    brought(tmp_path, page(openai_result()))
    brought(tmp_path, hourly(openai_result(), hours=range(1)))
    record = Quarantined.objects.get()
    finance = principal_of_person(User.objects.create_user("fin@example.com", role=Role.FINANCE))

    with pytest.raises(InvalidInput, match="Already covered"):
        replay(record, finance)
    imports.undo(DataImport.objects.earliest("pk").pk, actor="ann")

    assert replay(record, finance) == "accepted"
    assert brought(tmp_path, page(openai_result())) == (0, 0, 1)
    assert "a row that was replayed" in refusals()[0][4]


def test_the_preview_says_what_is_covered(tmp_path: Path, client: Client) -> None:
    brought(tmp_path, page(openai_result()))
    client.force_login(User.objects.create_user("fin@example.com", role=Role.FINANCE))
    made = imports.put_aside(
        [written(tmp_path, hourly(openai_result(), hours=range(1))).read_bytes()],
        name="hours.json",
        file_format="openai_usage",
        actor="ann",
    )
    imports.describe(made.pk, file_format="openai_usage", options=options())

    shown = client.get(f"/imports/{made.pk}/").content.decode()

    assert "Already covered by the import" in shown
    assert ReportPeriod.objects.count() == 1


def test_periods_that_only_touch_do_not_overlap(tmp_path: Path) -> None:
    assert brought(tmp_path, hourly(openai_result(), hours=range(24, 25))) == (1, 0, 0)

    assert brought(tmp_path, page(openai_result())) == (1, 0, 0)
    booked = [at for (at,) in rows("occurred_at")]
    assert booked == [
        datetime(2026, 9, 1, 12, tzinfo=UTC),
        datetime(2026, 9, 2, tzinfo=UTC) + timedelta(minutes=30),
    ]
