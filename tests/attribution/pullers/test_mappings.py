"""Mappings of providers' keys are checked, remembered, and made by hand."""

from __future__ import annotations

from datetime import date
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from attribution.models import ProviderMapping
from attribution.pullers import mappings
from finops.accounts.models import AuditEntry
from finops.core.errors import InvalidInput
from tests.attribution.pullers.conftest import mapped

pytestmark = pytest.mark.django_db


def test_mappings_are_checked_and_in_the_audit_log(first: date) -> None:
    mapped(first)
    for said in (
        {"name": "b", "sources": ["x"]},  # the same key
        {"name": "b", "api_keys": ["key_b"]},  # the same source
        {"name": "b", "api_keys": [], "sources": []},
        {"name": "b", "api_keys": ["key_b"], "sources": ["openai-usage-api"]},
        {"name": "b", "api_keys": ["key_b"], "sources": [], "names": {"colour": "red"}},
        {"name": "b", "api_keys": ["key_b"], "sources": [], "provider": "acme"},
    ):
        with pytest.raises(InvalidInput):
            mapped(first, **said)
    mapped(first, sources=["shop", "till"])
    mappings.drop("openai", "web", actor="ann")
    mapped(first, name="b")

    entries = AuditEntry.objects.filter(subject="openai web").order_by("pk")
    assert [entry.action.partition(".")[2] for entry in entries] == ["created", "changed", "dropped"]
    assert entries[1].after is not None
    assert entries[1].after["sources"] == ["shop", "till"]


def test_mappings_by_hand(first: date) -> None:
    def run(*words: str) -> str:
        out = StringIO()
        call_command("provider_keys", *words, stdout=out)
        return out.getvalue()

    run("map", "web", "--provider", "openai", "--api-key", "key_web", "--source", "shop", "--team", "a")
    assert "openai web: key_web; told of by shop" in run("list")
    assert ProviderMapping.objects.get().names == {"team": "a"}
    with pytest.raises(CommandError, match="--no-source"):
        run("map", "web", "--provider", "openai", "--api-key", "key_web")
    with pytest.raises(CommandError, match="belongs to the mapping"):
        run("map", "b", "--provider", "openai", "--api-key", "key_web", "--no-source")
    run("drop", "web", "--provider", "openai")
    assert run("list") == ""
