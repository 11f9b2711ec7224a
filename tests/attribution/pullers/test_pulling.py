"""Reports are read whole, within bounds and once, whatever happens on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from attribution.models import (
    CallEvent,
    ProviderCost,
    ProviderPull,
    ProviderReportChange,
    ProviderUsage,
)
from attribution.pullers.client import LONGEST_WAIT, MOST_TRIES, PullFailed
from attribution.pullers.providers import Provider, midnight, provider_of
from attribution.pullers.pulling import pull, pull_due
from attribution.tasks import pull_provider_reports
from finops.core.errors import Conflict, InvalidInput
from tests.attribution.pullers.upstream import Upstream
from tests.attribution.test_fold_killed import database_url

pytestmark = pytest.mark.django_db
COMPLETIONS, COSTS = "/organization/usage/completions", "/organization/costs"
DAYS = timedelta(days=3)


class Naps(list[float]):
    """Seconds that were to be slept."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def test_openai_tells_usage_in_tokens_and_costs_in_dollars(
    upstream: Upstream, openai: Provider, first: date
) -> None:
    pulled = pull(openai, first, first + DAYS)

    assert pulled.rows == {"completions": 3, "embeddings": 1, "costs": 2}
    row = ProviderUsage.objects.get(api_key="key_web", starts_at=midnight(first))
    assert row.usage == {
        "input_tokens": 41_000,
        "cache_read_tokens": 16_000,
        "output_tokens": 5_200,
    }
    assert (row.project, row.model, row.requests) == ("proj_shop", "gpt-4o-2024-08-06", 37)
    costs = ProviderCost.objects.order_by("amount").values_list("amount", "currency", "line", "project")
    assert list(costs) == [
        (Decimal("0.1345"), "USD", "gpt-4o-2024-08-06, input", "proj_shop"),
        (Decimal("2.5"), "USD", "", "proj_shop"),
    ]
    queries = upstream.asked_of(COMPLETIONS)
    assert [query.get("page") for query in queries] == [None, ["page_2"]]
    assert queries[0]["group_by"] == ["project_id", "api_key_id", "model", "batch", "service_tier"]
    assert (queries[0]["limit"], queries[0]["bucket_width"]) == (["31"], ["1d"])
    assert {headers["authorization"] for _, _, headers in upstream.asked} == {"Bearer sk-admin-o"}
    assert not CallEvent.objects.exists()


def test_amounts_keep_every_digit(upstream: Upstream, openai: Provider, first: date) -> None:
    start = int(midnight(first).timestamp())
    bounds = f'"start_time": {start}, "end_time": {start + 86_400}'
    cost = '{"amount": {"value": 1.2345678901234567e-05, "currency": "usd"}, "line_item": "x"}'
    upstream.troubles = [("costs", f'say={{"data": [{{{bounds}, "results": [{cost}]}}], "has_more": false}}')]

    pull(openai, first, first + DAYS)

    assert ProviderCost.objects.get().amount == Decimal("0.000012345678901234567")


def test_anthropic_tells_costs_in_cents(upstream: Upstream, anthropic: Provider, first: date) -> None:
    pull(anthropic, first, first + DAYS)

    amounts = ProviderCost.objects.order_by("amount").values_list("amount", flat=True)
    assert list(amounts) == [Decimal("0.04"), Decimal("1.2378912")]
    row = ProviderUsage.objects.get(api_key="apikey_01support")
    assert row.usage == {
        "input_tokens": 14_800,
        "cache_read_tokens": 12_000,
        "cache_write_tokens": 1_000,
        "cache_write_1h_tokens": 700,
        "output_tokens": 2_100,
        "units": {"web_search_calls": "4"},
    }
    assert ProviderUsage.objects.get(api_key="").event["service_tier"] == "batch"
    query = upstream.asked_of("/organizations/usage_report/messages")[0]
    assert query["group_by[]"][0] == "api_key_id"
    assert query["starting_at"] == [f"{first}T00:00:00Z"]
    headers = upstream.asked[0][2]
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("sk-admin-a", "2023-06-01")
    assert "authorization" not in headers


def test_the_same_again_changes_nothing(openai: Provider, upstream: Upstream, first: date) -> None:
    pull(openai, first, first + DAYS)
    assert set(pull(openai, first, first + DAYS).rows.values()) == {0}
    assert not ProviderReportChange.objects.exists()


def test_what_a_provider_corrects_is_kept_with_what_it_said_before(
    openai: Provider, upstream: Upstream, first: date
) -> None:
    pull(openai, first, first + DAYS)
    row = upstream.rows(COMPLETIONS)[0]
    row |= {"output_tokens": 5_300}
    gone = upstream.rows(COSTS).pop()

    assert pull(openai, first, first + DAYS).rows == {"completions": 1, "embeddings": 0, "costs": 1}
    changes = {change.report: change for change in ProviderReportChange.objects.all()}
    assert changes["completions"].before["output_tokens"] == 5_200
    after = changes["completions"].after
    assert after is not None
    assert after["output_tokens"] == 5_300
    assert changes["costs"].after is None
    assert ProviderCost.objects.filter(gone_at=None).count() == 1

    upstream.rows(COSTS).append(gone)
    pull(openai, first, first + DAYS)
    assert ProviderCost.objects.filter(gone_at=None).count() == 2
    assert ProviderCost.objects.count() == 2


def test_it_waits_as_long_as_it_is_told(openai: Provider, upstream: Upstream, first: date) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    upstream.troubles = [("completions", "429=7"), ("completions", f"429={later}"), ("completions", "500")]
    naps = Naps()

    pulled = pull(openai, first, first + DAYS, sleep=naps)

    assert pulled.rows["completions"] == 3
    assert (naps[0], naps[2]) == (7.0, 4.0)
    assert 25 < naps[1] <= 30


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("401always", "answered 401"),
        ("503always", f"{MOST_TRIES} times"),
        ("cutalways", "could not be reached"),
        (f"429={LONGEST_WAIT + 1:.0f}always", "asks to wait"),
        ("say=<html>always", "no JSON"),
        ('say={"data": {}}always', "no list of buckets"),
        ('say={"data": [], "has_more": true, "next_page": null}always', "but not where"),
        ('say={"data": [], "has_more": true, "next_page": "page_0"}always', "but not where"),
        ('say={"data": [{"results": []}]}always', "when it starts"),
        ('say={"data": [{"results": [1], "start_time": 0, "end_time": 1}]}always', "no list of results"),
    ],
)
def test_a_report_that_cannot_be_read_is_said_and_leaves_what_was_read(
    openai: Provider, upstream: Upstream, first: date, trouble: str, said: str
) -> None:
    upstream.troubles = [("costs", trouble)]

    with pytest.raises(PullFailed, match=said):
        pull(openai, first, first + DAYS, sleep=Naps())

    status = ProviderPull.objects.get(report="costs")
    assert said in status.problem
    assert "sk-admin" not in status.problem
    assert (status.finished_at, status.pulled_to) == (None, None)
    assert ProviderUsage.objects.count() == 4


def test_the_admin_key_is_never_taken_elsewhere(openai: Provider, upstream: Upstream, first: date) -> None:
    elsewhere = Upstream(first)
    upstream.troubles = [("completions", f"redirect={elsewhere.url}{COMPLETIONS}")]

    with pytest.raises(PullFailed, match="answered 302"):
        pull(openai, first, first + DAYS)

    assert elsewhere.asked == []
    elsewhere.stop()


def test_a_run_that_broke_off_between_pages_is_taken_up_again(
    openai: Provider, upstream: Upstream, first: date
) -> None:
    upstream.troubles = [("completions", "page:500always")]
    with pytest.raises(PullFailed):
        pull(openai, first, first + DAYS, sleep=Naps())
    assert ProviderUsage.objects.count() == 2

    upstream.troubles = []
    assert pull(openai, first, first + DAYS).rows["completions"] == 1
    assert ProviderUsage.objects.count() == 4


def test_the_schedule_goes_back_as_far_as_it_may_then_on_from_where_it_was(
    openai: Provider, upstream: Upstream, first: date, settings: Settings
) -> None:
    today = datetime.now(UTC).date()
    pull_due(openai)
    pull_due(openai)

    starts = [
        datetime.fromtimestamp(int(query["start_time"][0]), UTC).date()
        for query in upstream.asked_of(COSTS)
        if "page" not in query
    ]
    assert starts == [today - timedelta(days=90), today - timedelta(days=7)]
    ends = {query["end_time"][0] for query in upstream.asked_of(COSTS)}
    assert ends == {str(int(midnight(today).timestamp()))}
    assert ProviderPull.objects.get(report="costs").pulled_to == midnight(today)


def test_a_failed_report_is_asked_from_the_start_again(openai: Provider, upstream: Upstream) -> None:
    upstream.troubles = [("costs", "401")]
    with pytest.raises(PullFailed):
        pull_due(openai)
    pull_due(openai)
    starts = {query["start_time"][0] for query in upstream.asked_of(COSTS)}
    assert len(starts) == 1


def test_days_that_are_not_over_or_too_long_ago_are_not_asked_for(anthropic: Provider) -> None:
    today = datetime.now(UTC).date()
    for first, end in (
        (today, today + timedelta(days=1)),
        (today - DAYS, today - DAYS),
        (today - timedelta(days=31), today),
    ):
        with pytest.raises(InvalidInput):
            pull(anthropic, first, end)


def test_without_a_key_nobody_is_asked(upstream: Upstream, settings: Settings, first: date) -> None:
    settings.OPENAI_ADMIN_KEY = settings.ANTHROPIC_ADMIN_KEY = ""

    pull_provider_reports()
    with pytest.raises(InvalidInput, match="no admin key"):
        pull(provider_of("openai"), first, first + DAYS)

    assert upstream.asked == []


def test_the_worker_asks_the_others_too_when_one_fails(upstream: Upstream) -> None:
    upstream.troubles = [("completions", "401")]

    with pytest.raises(PullFailed):
        pull_provider_reports()

    assert ProviderPull.objects.get(report="cost_report").finished_at is not None


def test_by_hand(upstream: Upstream, first: date) -> None:
    out = StringIO()
    days = {"first": first, "end": first + DAYS}

    call_command("pull_usage", provider="openai", stdout=out, **days)

    assert "completions: 3 rows new or changed" in out.getvalue()
    upstream.troubles = [("costs", "403")]
    with pytest.raises(CommandError, match="answered 403"):
        call_command("pull_usage", provider="openai", stdout=out, **days)


PULL = "import sys; from django.core.management import execute_from_command_line as run; run(sys.argv)"


@pytest.mark.django_db(transaction=True)
def test_a_process_killed_in_the_middle_leaves_the_rest_to_the_next(
    upstream: Upstream, openai: Provider, first: date
) -> None:
    upstream.troubles = [("completions", "page:stall")]
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "finops.settings",
        "OPENAI_ADMIN_KEY": "sk-admin-o",
        "OPENAI_API_BASE_URL": upstream.url,
    }
    days = ["--from", str(first), "--to", str(first + DAYS)]
    command = [sys.executable, "-c", PULL, "pull_usage", "--provider", "openai", *days]
    puller = subprocess.Popen(command, env=environment)
    assert upstream.stalled.wait(60)
    with pytest.raises(Conflict):
        pull(openai, first, first + DAYS)
    puller.kill()
    puller.wait()

    kept = list(ProviderUsage.objects.values_list("row_id", flat=True))
    _wait_for_the_lock()
    pull(openai, first, first + DAYS)

    assert len(kept) == 2
    assert ProviderUsage.objects.count() == 4
    assert set(kept) < set(ProviderUsage.objects.values_list("row_id", flat=True))
    assert not ProviderReportChange.objects.exists()


def _wait_for_the_lock() -> None:
    """The server notices the end of a killed client when it next writes to it."""
    with connection.cursor() as cursor:
        name = "attribution.pull.openai"
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
        cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
