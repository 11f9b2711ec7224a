"""Keys, and the table of the plain Django reference: ``python -m bench.probes.setup``."""

from __future__ import annotations

import json

import django

django.setup()

from django.db import connection  # noqa: E402

from bench.models import PlainEvent  # noqa: E402
from finops.accounts.models import ApiKey, Scope  # noqa: E402

if __name__ == "__main__":
    with connection.schema_editor() as editor:
        editor.create_model(PlainEvent)
    _, ingest = ApiKey.issue("bench", [Scope.INGEST.value])
    _, read = ApiKey.issue("bench-read", [Scope.READ.value])
    print(json.dumps({"ingest": ingest, "read": read}))
