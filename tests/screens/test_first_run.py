"""Before the first event: steps with their live state, and pages that say they are empty."""

from __future__ import annotations

import pytest
from django.test import Client

from attribution import registry
from finops.accounts.models import Role, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def browse() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("ann@example.com", role=Role.ADMIN))
    return client


def test_the_overview_shows_the_steps_that_are_left(browse: Client) -> None:
    registry.ensure_team("search", actor="ann")

    answer = browse.get("/")

    assert answer.status_code == 200
    assert [(step.title, step.done) for step in answer.context["steps"]] == [
        ("Name the teams", True),
        ("Load the price book", False),
        ("Make an API key", False),
        ("Say who owns the features", False),
    ]
    assert "Waiting for the first event" in answer.content.decode()


@pytest.mark.parametrize(
    "address",
    [
        "/costs/",
        "/costs/?tab=changes",
        "/usage/",
        "/unattributed/",
        "/showback/2026-10/",
        "/health/",
    ],
)
def test_every_screen_says_that_it_is_empty(browse: Client, address: str) -> None:
    answer = browse.get(address)

    assert answer.status_code == 200
