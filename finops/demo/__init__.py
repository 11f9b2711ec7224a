"""The demo company: believable calls to try the product with, without data of one's own."""

from __future__ import annotations

from django.db import connection

SETTING = "demo"


def is_loaded() -> bool:
    """Whether this instance holds demo data. One query on a primary key."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT true FROM books_setting WHERE name = %s", [SETTING])
        return cursor.fetchone() is not None
