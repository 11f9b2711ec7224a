"""Empties the database after a test that commits: only the tables that it wrote to.

Django truncates every table there is and sets up its permissions anew, which takes longer than most of
the tests do. A test leaves rows in a handful of tables; those of Django's own set-up stay.
"""

from __future__ import annotations

from django.db import connection, transaction
from django.test import TransactionTestCase

SET_UP = ["auth_permission", "django_content_type", "django_migrations"]
# Partitions go with their table; what an extension or another schema holds is none of a test's.
_TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> ALL (%s)
"""


def empty() -> None:
    """Take every row out of every table, whatever refers to it and whatever is final about it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TABLES, [SET_UP])
        each = [f"SELECT '{name}' WHERE EXISTS (SELECT FROM \"{name}\")" for (name,) in cursor.fetchall()]
        cursor.execute(" UNION ALL ".join(each))
        written = [name for (name,) in cursor.fetchall()]
        # No trigger fires, neither of a foreign key nor one that keeps what is published.
        statements = [f'DELETE FROM "{name}"' for name in written]
        cursor.execute("; ".join(["SET LOCAL session_replication_role = replica", *statements]))


def instead_of_flush() -> None:
    """Let every test that commits end with ``empty``."""
    TransactionTestCase._fixture_teardown = lambda _: empty()  # type: ignore[attr-defined]
