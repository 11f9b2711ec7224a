"""What the worker does every night to the books' storage: ``python -m bench.probes.nightly``."""

from __future__ import annotations

import json

import django

django.setup()

from attribution.tasks import compact_all  # noqa: E402

if __name__ == "__main__":
    compact_all()
    print(json.dumps(None))
