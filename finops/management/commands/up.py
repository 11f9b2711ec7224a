"""Runs a whole instance on this machine until it is told to stop."""

from __future__ import annotations

import signal
from argparse import ArgumentParser, ArgumentTypeError
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand

from finops.embedded.layout import EngineError
from finops.running import Running


class _Stopped(BaseException):
    """Somebody asked for the end: SIGTERM, SIGINT or SIGHUP."""


class Command(BaseCommand):
    help = "Start everything: engines, web, worker and beat. SIGTERM or Ctrl-C stops it all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument("--port", type=_port, default=8000, help="port to listen on (default 8000)")
        parser.add_argument("--workers", type=_at_least_one, default=2, help="web processes (default 2)")
        parser.add_argument("--no-demo", action="store_true", help="do not load the demo company")

    def handle(self, *_: str, host: str, port: int, workers: int, no_demo: bool, **__: Any) -> None:
        running = Running(
            instance=settings.INSTANCE,
            host=host,
            port=port,
            web_processes=workers,
            say=self._say,
            note=self.stderr.write,
        )
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _stop)
        try:
            running.run(with_demo=not no_demo)
        except EngineError as error:
            raise CommandError(str(error)) from error
        except _Stopped:
            self.stderr.write("Stopped.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    """Once is enough: what follows the first signal is the orderly end, which nothing interrupts."""
    for again in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(again, signal.SIG_IGN)
    raise _Stopped


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"must be a port from 1 to 65535, not {text!r}")
    return int(text)


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)
