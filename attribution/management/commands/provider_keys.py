"""``manage.py provider_keys``: which sources call with which of a provider's keys."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from attribution.models.provider_reports import ProviderMapping
from attribution.pullers import mappings
from attribution.pullers.mappings import NAMES, Mapped
from attribution.pullers.providers import PROVIDERS
from finops.core.errors import FinopsError

_ACTOR = "manage.py provider_keys"


class Command(BaseCommand):
    """Without a mapping, reports are kept and shown, and nothing is booked."""

    help = "List, make or drop mappings of a provider's keys and projects to sources."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("list", "map", "drop"))
        parser.add_argument("name", nargs="?", default="")
        parser.add_argument("--provider", choices=PROVIDERS)
        parser.add_argument(
            "--api-key", action="append", default=[], help="Its id as reported, never the key."
        )
        parser.add_argument("--project", action="append", default=[], help="Or workspace, by its id.")
        parser.add_argument("--source", action="append", default=[], help="Whose calls are made with them.")
        parser.add_argument("--no-source", action="store_true", help="No client tells of their calls.")
        parser.add_argument("--from", dest="first", type=date.fromisoformat, help="First UTC day; now.")
        for name in NAMES:
            parser.add_argument(f"--{name}", default="", help="Of what is booked.")

    def handle(self, *_: Any, action: str, **given: Any) -> None:  # Any: as Django has it
        if action == "list":
            self._list()
            return
        if not given["name"] or not given["provider"]:
            raise CommandError("Say the name of the mapping, and --provider.")
        try:
            self._map(given) if action == "map" else self._drop(given)
        except FinopsError as error:
            raise CommandError(error.detail) from error

    def _list(self) -> None:
        for row in ProviderMapping.objects.filter(is_active=True):
            keys = ", ".join([*row.api_keys, *row.projects])
            sources = ", ".join(row.sources) or "no client"
            self.stdout.write(
                f"{row.provider} {row.name}: {keys}; told of by {sources}; from {row.book_from}"
            )

    def _map(self, given: dict[str, Any]) -> None:
        if bool(given["source"]) == given["no_source"]:
            raise CommandError("Say --source, or --no-source where no client tells of these calls.")
        mapped = Mapped(
            provider=given["provider"],
            name=given["name"],
            api_keys=given["api_key"],
            projects=given["project"],
            sources=given["source"],
            names={name: given[name] for name in NAMES if given[name]},
            book_from=given["first"] or datetime.now(UTC).date(),
        )
        mappings.put(mapped, actor=_ACTOR)
        self.stdout.write(f"{mapped.name}: booked from {mapped.book_from}")

    def _drop(self, given: dict[str, Any]) -> None:
        mappings.drop(given["provider"], given["name"], actor=_ACTOR)
        self.stdout.write(f"{given['name']}: nothing more is booked")
