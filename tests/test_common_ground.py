"""What tests stand on: a database that is empty before each, and prices that are those published."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from pricing.models import BookVersion, Price, Rate
from pricing.publishing import load_vendored
from tests import price_list
from tests.attribution.factory import Call, book, dimension_set, price_slot
from tests.attribution.reratings.shop import at
from tests.emptying import SET_UP, empty
from tests.instances import ROOT
from tests.order import LONGEST


def rows() -> dict[str, int]:
    """How many rows each table with any has."""
    with connection.cursor() as cursor:
        names = set(connection.introspection.table_names(cursor)) - set(SET_UP)
        cursor.execute(" UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in names))
        return {name: count for name, count in cursor.fetchall() if count}


@pytest.mark.django_db(transaction=True)
def test_what_is_committed_is_taken_out_whatever_is_final_or_referred_to() -> None:
    price_list.load()
    book([Call(at("2026-10-01"), dimension_set(team="search"), price_slot(), {"input": 1})])
    assert {"call_event", "pricing_rate", "price_slot", "dimension_set"} <= rows().keys()

    empty()

    assert rows() == {}
    assert Permission.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_copied_list_is_the_published_one() -> None:
    load_vendored()
    said = [list(model.objects.order_by("pk").values().iterator()) for model in (Price, Rate)]
    empty()
    price_list.load()
    empty()

    price_list.load()

    again = [list(model.objects.order_by("pk").values().iterator()) for model in (Price, Rate)]
    numbers = ("id", "version_id", "price_id")
    for one, other in zip(said, again, strict=True):
        assert [{key: row[key] for key in row if key not in numbers} for row in one] == [
            {key: row[key] for key in row if key not in numbers} for row in other
        ]
    assert load_vendored().version is None
    assert BookVersion.objects.get().published_at is not None


def test_the_longest_files_are_there() -> None:
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []
