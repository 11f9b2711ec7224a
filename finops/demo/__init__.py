"""The demo company: believable calls to try the product with, without data of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from finops.demo.people import Login

SETTING = "demo"


def is_loaded() -> bool:
    """Whether this instance holds demo data. One query on a primary key."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT true FROM books_setting WHERE name = %s", [SETTING])
        return cursor.fetchone() is not None


def logins() -> list[Login]:
    """The demo people with their password and role; none when no demo is loaded."""
    # Imported late: is_loaded is asked for on every page, by packages far below this one.
    from finops.demo import people  # noqa: PLC0415

    return people.logins()
