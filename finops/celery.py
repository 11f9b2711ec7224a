"""The worker and the beat."""

from __future__ import annotations

import os

from celery import Celery

from finops.pipeline import SCHEDULE

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finops.settings")

app = Celery("finops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = SCHEDULE
app.autodiscover_tasks()
