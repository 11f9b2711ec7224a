"""Which processes an instance consists of: engines, web, worker and beat."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from finops.embedded.broker import Broker
from finops.embedded.layout import Instance
from finops.embedded.postgres import Postgres
from finops.embedded.supervisor import Program, tied

# Tasks are quick or safe to run twice: acknowledged late, they are taken up again if cut off.
QUEUES = "celery,ingest,books,alerts"
_CONF = Path(__file__).with_name("gunicorn_conf.py")


def engines(postgres: Postgres | None, broker: Broker | None) -> list[Program]:
    """The engines that the environment does not name; last to stop."""
    found = []
    if postgres is not None:
        found.append(
            Program(
                name="postgres",
                command=postgres.foreground(),
                order=10,
                starts_at_once=True,
                stop_signal="INT",
                stop_seconds=120,
            )
        )
    if broker is not None:
        found.append(Program(name="broker", command=broker.foreground(), order=20, starts_at_once=True))
    return found


def services(instance: Instance, *, bind: str, web_processes: int) -> list[Program]:
    """Web, worker and beat; web stops first, so that nothing is acknowledged that cannot be kept."""
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "finops"]
    worker = ["worker", "-c", "2", "-Q", QUEUES, "-n", f"worker-{os.getpid()}@%h", "--without-gossip"]
    schedule = ["beat", "-s", str(instance.root / "run" / "beat-schedule"), "--pidfile="]
    web = [python, "-m", "gunicorn", "-c", str(_CONF), "-b", bind, "-w", str(web_processes)]
    return [
        Program(
            name="web",
            command=tied([*web, "finops.wsgi:application"]),
            order=50,
            environment={"PROMETHEUS_MULTIPROC_DIR": str(instance.metrics)},
        ),
        Program(name="worker", command=tied([*celery, *worker]), order=30),
        Program(name="beat", command=tied([*celery, *schedule]), order=40),
    ]
