"""Time and queries of one page on the server's side: ``python -m bench.probes.pages PATH VIEWS``."""

from __future__ import annotations

import json
import sys
import time

import django

django.setup()

from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from finops.accounts.models import Role, User  # noqa: E402

_NOT_QUERIES = ("BEGIN", "COMMIT", "SET LOCAL")


def measure(path: str, views: int) -> dict[str, object]:
    """Seconds of each view after the first, and the number of queries of one."""
    client = Client(headers={"host": "127.0.0.1"})
    person = User.objects.filter(role=Role.FINANCE).first() or User.objects.create_user(
        "bench@bench.example", None, role=Role.FINANCE
    )
    client.force_login(person)
    seconds = []
    for _ in range(views + 1):
        started = time.perf_counter()
        answer = client.get(path)
        seconds.append(time.perf_counter() - started)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    asked = [query for query in queries if not query["sql"].startswith(_NOT_QUERIES)]
    return {"seconds": seconds[1:], "queries": len(asked)}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
