"""Somebody of a role who looks at screens, and what a screen says."""

from __future__ import annotations

from typing import Any

from django.test import Client

from finops.accounts.models import User
from finops.accounts.people import add_person


def signed_in(role: str, *teams: str) -> Client:
    """The browser of the one person of this role, made on first use."""
    address = f"{role}@example.com"
    person = User.objects.filter(email=address).first()
    client = Client()
    client.force_login(person or add_person(address, role=role, teams=teams, actor="test"))
    return client


def text(answer: Any) -> str:  # Any: the test response of the stubs is private
    """The page as it was sent."""
    return str(answer.content.decode())
