"""The product's settings and, beside its URLs, the views that it is compared with."""

from __future__ import annotations

from finops.settings import *  # noqa: F403
from finops.settings import INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS = [*INSTALLED_APPS, "bench"]
ROOT_URLCONF = "bench.urls"
# What is measured is the work, not the limit on it.
REST_FRAMEWORK = {**REST_FRAMEWORK, "DEFAULT_THROTTLE_CLASSES": []}
