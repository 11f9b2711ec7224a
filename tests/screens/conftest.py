"""A small company in the books, loaded once a module and undone after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from attribution.ingest import writer
from attribution.organisation import today
from finops.accounts.models import User
from finops.demo.loading import Recipe, load
from tests import price_list

EVENTS = 3_000


@pytest.fixture(scope="module")
def company(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The demo company, its calls up to yesterday; other modules never see it."""
    whole = transaction.atomic()
    whole._from_testcase = True  # type: ignore[attr-defined]  # as Django's TestCase does: durable blocks may be inside
    with django_db_blocker.unblock(), whole:
        writer.forget()
        price_list.load()
        load(Recipe(days=70, events=EVENTS, seed=7, until=today()))
        yield
        transaction.set_rollback(True)
    writer.forget()
    cache.close()


@pytest.fixture
def browse(company: None) -> Client:
    """Somebody from finance, signed in."""
    client = Client()
    client.force_login(User.objects.get(email="finance@demo.example"))
    return client
