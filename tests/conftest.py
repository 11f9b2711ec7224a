"""What every test run stands on; fixtures that every test may use."""

from __future__ import annotations

# The hooks that start and end the run's own PostgreSQL; its address is set before Django looks.
from tests.instance import pytest_configure, pytest_unconfigure  # noqa: F401
