"""In which order the files of the suite are handed to its workers: the longest first.

Each file is run by one worker, so that what its tests share is made once. A long one that began last
would leave the other processor idle until it ended.
"""

from __future__ import annotations

import pytest

# More than some fifteen seconds each; those that wait are put between those that compute.
LONGEST = (
    "browser/test_screens.py",
    "attribution/ingest/test_spool_up.py",
    "browser/test_ingest_screens.py",
    "attribution/ingest/test_spool_outage.py",
    "bench/test_smoke.py",
    "finops/test_up.py",
    "browser/test_price_screens.py",
    "client/test_against_the_product.py",
    "attribution/reratings/test_sequences.py",
    "attribution/otlp/test_fixtures.py",
    "attribution/otlp/test_documented_snippets.py",
    "attribution/reratings/test_restating.py",
    "attribution/ingest/test_faults.py",
    "attribution/pitfalls/test_outage.py",
    "attribution/reratings/test_at_once.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; within a file nothing moves."""
    places = {f"tests/{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))
