"""Files with bad rows: each row is in the books or in the quarantine, where it can be told from others."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from attribution.models import Quarantined
from tests.attribution.ingest.conftest import event
from tests.attribution.pitfalls.conftest import Product


def imported(file: Path, **options: Any) -> str:
    """What `manage.py import_events` says of a file."""
    out = StringIO()
    call_command("import_events", str(file), stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def test_each_line_that_is_no_json_is_a_row_of_the_quarantine_once(product: Product, tmp_path: Path) -> None:
    first, second = tmp_path / "first.ndjson", tmp_path / "second.ndjson"
    sound = event("sound", source="files")
    first.write_text("\n".join(["{broken", json.dumps(sound), "not json", "[]", "5", "{broken"]))
    second.write_text("{broken\n")

    said = imported(first, batch_size=2)
    imported(first)
    imported(second)

    assert "6 records, 1 accepted, 0 duplicates, 0 conflicts, 5 in quarantine" in said
    assert Quarantined.objects.count() == 6
    numbers = Quarantined.objects.values_list("event_id", flat=True)
    assert sorted(number.rpartition("-")[2] for number in numbers) == ["1", "1", "3", "4", "5", "6"]
    assert product.total("calls") == 1


def test_a_row_that_says_its_id_is_known_by_it_from_whichever_file(tmp_path: Path, product: Product) -> None:
    impossible = event("bad", source="files", usage={"input_tokens": 1, "cache_read_tokens": 2})
    for name in ("first.ndjson", "second.ndjson"):
        (tmp_path / name).write_text(json.dumps(impossible) + "\n" * len(name))
        imported(tmp_path / name)

    assert [(row.event_id, row.code) for row in Quarantined.objects.all()] == [
        ("bad", "subset_exceeds_total")
    ]
    assert product.total("calls") == 0


@pytest.mark.parametrize("kind", ["openai_usage", "anthropic_usage"])
def test_a_text_is_no_report_without_rows(tmp_path: Path, product: Product, kind: str) -> None:
    (tmp_path / "report").write_text("no report\nat all\n")

    with pytest.raises(CommandError, match="1 of 1 files could not be read"):
        imported(tmp_path / "report", format=kind)
