"""Runs a management command against one instance, with a database for as long as it lasts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from finops.embedded.layout import EngineError, Instance
from finops.embedded.locks import Lock, changing, is_supervised
from finops.embedded.postgres import Postgres

_DEFAULT_DATA_DIR = Path(__file__).resolve().parent.parent.parent / ".data"
# Commands that read no database, or look after it themselves.
_WITHOUT_DATABASE = frozenset(
    {
        "up",
        "help",
        "version",
        "check",
        "makemigrations",
        "collectstatic",
        "findstatic",
        "diffsettings",
        "spectacular",
        "allocate_pool",
        "backtest_anomalies",
        "guardrails",
    }
)


def run(argv: Sequence[str]) -> int:
    """Run ``manage.py`` with these arguments and return its exit status.

    ``--data-dir D`` is understood by every command, wherever it stands. Where no DATABASE_URL is
    given, the instance's own PostgreSQL is attached to, or started for the command's duration.
    """
    try:
        arguments = _take_data_dir(list(argv))
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finops.settings")
        if not _needs_database(arguments):
            return _execute(arguments)
        instance = Instance(Path(os.environ.get("DATA_DIR") or _DEFAULT_DATA_DIR).absolute())
        with _database(instance):
            return _execute(arguments)
    except EngineError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _take_data_dir(argv: list[str]) -> list[str]:
    """The arguments without ``--data-dir``, which becomes DATA_DIR for us and our children."""
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            return [*rest, word, *words]
        name, equals, value = word.partition("=")
        if name != "--data-dir":
            rest.append(word)
            continue
        directory = value if equals else next(words, "")
        if not directory:
            raise EngineError("--data-dir needs a directory.")
        os.environ["DATA_DIR"] = str(Path(directory).expanduser().absolute())
    return rest


def _needs_database(argv: Sequence[str]) -> bool:
    if os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE"):
        return False
    if len(argv) < 2 or {"-h", "--help"} & set(argv[1:]):
        return False
    return argv[1] not in _WITHOUT_DATABASE and not argv[1].startswith("-")


def _execute(argv: Sequence[str]) -> int:
    # Late: DATA_DIR is set by now, and what refuses to run needs no Django.
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    execute_from_command_line(list(argv))
    return 0


@contextmanager
def _database(instance: Instance) -> Iterator[None]:
    """Attach to the instance's server, starting it if it is down; the last to leave stops it."""
    instance.prepare()
    if is_supervised(instance):
        Postgres.of(instance).wait()
        yield
        return
    in_use = Lock.open(instance, "in-use")
    with changing(instance):
        in_use.shared()
        postgres = Postgres.of(instance)
        if not postgres.is_up():
            postgres.initialise()
            postgres.start()
    # No worker is listening: triggers go nowhere, and beat catches up at the next start.
    os.environ.setdefault("BROKER_URL", "memory://")
    try:
        yield
    finally:
        with changing(instance):
            if in_use.try_exclusive() and not is_supervised(instance):
                postgres.stop()
            in_use.release()
