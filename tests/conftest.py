"""What every test run stands on; fixtures that every test may use."""

from __future__ import annotations

import os

import hypothesis
import pytest
from pytest_django import Settings

from tests.emptying import instead_of_flush

# The hooks that start and end the run's own PostgreSQL; its address is set before Django looks.
from tests.instance import pytest_configure, pytest_unconfigure  # noqa: F401
from tests.order import pytest_collection_modifyitems  # noqa: F401

instead_of_flush()

# No deadlines: machines are shared. In CI the examples are the same every time, so that a change is
# judged by what it changed; everywhere else they are new ones.
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "developer")


@pytest.fixture(autouse=True)
def _plain_static_files(settings: Settings) -> None:
    """Pages name their static files as they are: a test run collects none into a manifest."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
