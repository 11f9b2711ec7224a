"""People of the demo company, one for each role, to sign in as."""

from __future__ import annotations

from typing import NamedTuple

from django.db import transaction

from finops.accounts.models import Role, TeamMembership, User
from finops.demo import is_loaded

# Demo data only: the same for everyone, and written in the documentation.
PASSWORD = "demo-company-2026"  # noqa: S105
_PEOPLE = (
    ("admin@demo.example", "Ada Admin", Role.ADMIN, ()),
    ("finance@demo.example", "Fiona Finance", Role.FINANCE, ()),
    ("lead@demo.example", "Leo Lead", Role.LEAD, ("support",)),
    ("engineer@demo.example", "Eva Engineer", Role.ENGINEER, ("assistant",)),
    ("platform@demo.example", "Paul Platform", Role.PLATFORM, ()),
    ("viewer@demo.example", "Vera Viewer", Role.VIEWER, ("search",)),
)


class Login(NamedTuple):
    """What to type at the sign-in page, and what it shows."""

    email: str
    password: str
    role: str


@transaction.atomic
def create_people() -> None:
    """Create those who are missing; whoever exists keeps their password and role."""
    for email, name, role, teams in _PEOPLE:
        if User.objects.filter(email=email).exists():
            continue
        user = User.objects.create_user(email, PASSWORD, name=name, role=role)
        TeamMembership.objects.bulk_create(TeamMembership(user=user, team=team) for team in teams)


def logins() -> list[Login]:
    """The demo logins that still work as documented; none when no demo is loaded."""
    if not is_loaded():
        return []
    users = {user.email: user for user in User.objects.filter(email__in=[email for email, *_ in _PEOPLE])}
    return [
        Login(email, PASSWORD, user.get_role_display())
        for email, *_ in _PEOPLE
        if (user := users.get(email)) and user.is_active and user.check_password(PASSWORD)
    ]
