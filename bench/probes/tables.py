"""Makes the table that the plain Django reference writes to: ``python -m bench.probes.tables``."""

from __future__ import annotations

import django

django.setup()

from django.db import connection  # noqa: E402

from bench.models import PlainEvent  # noqa: E402

if __name__ == "__main__":
    with connection.schema_editor() as editor:
        editor.create_model(PlainEvent)
    print("true")
