"""The web process."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finops.settings")
application = get_wsgi_application()

from attribution.ingest import spool_replay  # noqa: E402  (needs the applications)

# What this host acknowledged while the database was away is on this host's disk.
spool_replay.attend()
