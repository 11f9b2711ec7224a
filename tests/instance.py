"""Gives every test run a PostgreSQL of its own; it comes before the settings.

The process that controls the run starts one throw-away server; the workers of pytest-xdist inherit
its address and make a database each. Whatever the environment says about a database or a broker is
put aside, so that no test ever touches a real one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import django
import pytest

from finops.embedded.layout import Instance
from finops.embedded.postgres import Postgres

for _name in ("DATABASE_URL", "DATABASE_URL_FILE", "BROKER_URL", "BROKER_URL_FILE", "SECRET_KEY"):
    os.environ.pop(_name, None)
os.environ["BROKER_URL"] = "memory://"
# Hundreds of processes import the same modules: none of them should compile these for itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if not _IS_WORKER:
    os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="finops-test-", dir="/tmp")
INSTANCE = Instance(Path(os.environ["DATA_DIR"]))
os.environ["DJANGO_SETTINGS_MODULE"] = "finops.settings"
django.setup()
_server: subprocess.Popen[bytes] | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Start the server of this run."""
    global _server
    if _IS_WORKER or _server is not None or config.option.collectonly:
        return
    INSTANCE.prepare()
    (INSTANCE.root / "static").mkdir()
    postgres = Postgres.of(INSTANCE)
    postgres.initialise(durable=False)
    with (INSTANCE.logs / "postgres.log").open("wb") as log:
        _server = subprocess.Popen(postgres.foreground(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    postgres.wait(60)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """End it and forget its data."""
    if _IS_WORKER:
        return
    if _server is not None:
        _server.send_signal(signal.SIGINT)
        _server.wait(60)
    shutil.rmtree(INSTANCE.root, ignore_errors=True)
