"""Combinations of names: made once, attributed at once, capped where a source explodes them."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from attribution.ingest import writer
from attribution.models import DimensionOverflow, Feature, RegistryState, Team, Tier
from tests.attribution.ingest.conftest import Send, event, rows


def test_a_combination_is_made_once_whoever_asks(send: Send) -> None:
    send(event("a", feature="chat"), event("b", feature="chat"))
    writer.forget()  # as another process

    send(event("c", feature="chat"))

    assert rows("feature", "dimension_set") == [("chat",)]
    assert len(set(rows("dimension_set_id"))) == 1


def test_new_features_and_tiers_are_registered_and_a_team_never(send: Send) -> None:
    send(event(feature="chat", tier="pro", team="nobody-knows"))

    assert Feature.objects.get().state == RegistryState.NEW
    assert Tier.objects.get().slug == "pro"
    assert not Team.objects.exists()


def test_every_combination_is_attributed_as_it_is_made(send: Send) -> None:
    send(event("a"), event("b", feature="chat"), event("c", team="x"))

    assert rows("count(*)", "dimension_set s LEFT JOIN attribution a ON a.dimension_set_id = s.id") == [(3,)]


def test_a_source_that_explodes_a_dimension_is_capped_visibly(send: Send, settings: Settings) -> None:
    settings.DIMENSION_VALUE_CAP = 10

    for round_, start in enumerate((0, 8, 8)):
        answer = send(*[event(f"e-{round_}-{n}", release=f"r{start + n:02}") for n in range(8)])
        assert answer.counts == (8, 0, 0, 0)
    send(event("calm", source="another", release="r99"))

    releases = [release for (release,) in rows("DISTINCT release", "dimension_set WHERE source = 'service'")]
    assert releases == ["(other)", *[f"r{n:02}" for n in range(10)]]
    overflow = DimensionOverflow.objects.get()
    assert (overflow.source, overflow.dimension, overflow.calls) == ("service", "release", 12)
    assert overflow.examples == [f"r{n:02}" for n in range(10, 16)]


@pytest.mark.parametrize("name", ["(other)", "a b", "a,b"])
def test_no_event_can_say_the_name_of_the_rest(send: Send, name: str) -> None:
    assert send(event(feature=name)).counts == (0, 0, 0, 1)
