"""Loads the demo company: its organisation, then its calls through the same ingest as the API's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date

from django.conf import settings
from django.db import transaction
from xxhash import xxh32_hexdigest

from attribution import rollups
from attribution.ingest.intake import Sender, take_in
from attribution.ingest.native import parse
from attribution.models import BooksSetting
from finops.core.errors import Conflict
from finops.demo import SETTING
from finops.demo.calls import generate
from finops.demo.events import bodies
from finops.demo.organisation import create_organisation
from finops.demo.people import create_people
from finops.demo.story import Story

_SENDER = Sender(source="demo", api_key="demo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What decides every digit of the demo's totals, together with the reporting zone."""

    days: int
    events: int
    seed: int
    until: date

    @property
    def story(self) -> Story:
        return Story.before(self.until, self.days)

    @property
    def prefix(self) -> str:
        """How the ids of its events begin: different recipes never share an id."""
        text = f"{self.seed} {self.days} {self.events} {self.until}"
        return f"d{xxh32_hexdigest(text.encode())}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a run of the loader did."""

    accepted: int = 0
    duplicates: int = 0

    def plus(self, accepted: int, duplicates: int) -> Loaded:
        return replace(self, accepted=self.accepted + accepted, duplicates=self.duplicates + duplicates)


def load(recipe: Recipe, progress: Callable[[int], object] = lambda _: None) -> Loaded:
    """Load the company of the recipe; what is there already is recognised and left alone.

    ``progress`` is told the number of events dealt with since it was last told. Returns when the
    rollups hold everything.
    """
    create_organisation(recipe.story.day(recipe.story.ownership_move))
    calls = generate(
        until=recipe.until,
        days=recipe.days,
        events=recipe.events,
        seed=recipe.seed,
        zone=settings.REPORTING_TIME_ZONE,
    )
    loaded = Loaded()
    for body in bodies(calls, prefix=recipe.prefix, first=recipe.story.first):
        outcome = take_in(parse(body, "application/json"), _SENDER)
        if outcome.arrivals.rejected or outcome.conflicts:
            raise Conflict("This instance holds other events under the demo's ids, or refuses them.")
        loaded = loaded.plus(outcome.accepted, outcome.duplicates)
        progress(outcome.accepted + outcome.duplicates)
    while not rollups.fold(wait=True).is_empty:
        pass
    create_people()
    _remember(recipe)
    return loaded


def loaded_before() -> list[Recipe]:
    """The recipes that were loaded into this instance, oldest first."""
    setting = BooksSetting.objects.filter(name=SETTING).first()
    found = json.loads(setting.value) if setting else []
    return [Recipe(**{**each, "until": date.fromisoformat(each["until"])}) for each in found]


@transaction.atomic
def _remember(recipe: Recipe) -> None:
    recipes = loaded_before()
    if recipe not in recipes:
        value = json.dumps([{**asdict(each), "until": each.until.isoformat()} for each in [*recipes, recipe]])
        BooksSetting.objects.update_or_create(name=SETTING, defaults={"value": value})
