"""API keys at the door."""

from __future__ import annotations

import pytest

from finops.accounts.authentication import authenticate_key
from finops.accounts.models import ApiKey


@pytest.mark.django_db
def test_a_key_is_recognised() -> None:
    key, secret = ApiKey.issue("ci", ["ingest"])

    assert authenticate_key(f"Bearer {secret}") == key
