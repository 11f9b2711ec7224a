"""Make a person, or change one who exists."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from attribution import registry
from finops.accounts.models import Role, User
from finops.accounts.people import add_person, change_person
from finops.core.errors import FinopsError

ACTOR = "command"


class Command(BaseCommand):
    """Safe to run twice: what is given is set, what is not given stays."""

    help = "Make a person who may sign in, or change their role, teams, name or password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--role", required=True, metavar="ROLE", help=", ".join(Role.values))
        parser.add_argument(
            "--team",
            action="append",
            dest="teams",
            metavar="TEAM",
            help="a team they belong to; repeatable; registered if unknown",
        )
        parser.add_argument("--name", help="as it is shown")
        parser.add_argument("--password", help="without one, they set theirs by a link from the People page")

    def handle(self, **options: Any) -> None:  # Any: argparse's values
        try:
            with transaction.atomic():
                for team in options["teams"] or ():
                    registry.ensure_team(team, actor=ACTOR)
                done, person = self._apply(options)
        except FinopsError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{done} {person.email}, {person.get_role_display().lower()}.")

    def _apply(self, options: dict[str, Any]) -> tuple[str, User]:
        found = User.objects.filter(email__iexact=options["email"].strip()).first()
        wanted = {name: options[name] for name in ("role", "password")}
        if found is None:
            name, teams = options["name"] or "", options["teams"] or ()
            person = add_person(options["email"], name=name, teams=teams, actor=ACTOR, **wanted)
            return "Added", person
        return "Updated", change_person(
            found.pk, name=options["name"], teams=options["teams"], active=True, actor=ACTOR, **wanted
        )
