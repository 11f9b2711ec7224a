"""Usage reports of providers and FOCUS files: every token once, at the price of its row."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from attribution.ingest.usage_exports import anthropic_events, openai_events
from attribution.models import Quarantined
from attribution.rollups import fold
from tests import price_list
from tests.attribution.ingest.conftest import rows

pytestmark = pytest.mark.django_db
DAY = 1_788_220_800  # 2026-09-01T00:00Z
Json = dict[str, Any]


def import_events(file: Path, form: str, **options: Any) -> str:
    """Run the command; what it says."""
    out = StringIO()
    call_command("import_events", str(file), format=form, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def written(folder: Path, content: Any, name: str = "export.json") -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
    return file


def openai_result(**fields: Any) -> Json:
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": 10_000,
        "input_cached_tokens": 6_000,
        "input_cache_write_tokens": 0,
        "input_uncached_tokens": 4_000,
        "output_tokens": 2_000,
        "input_audio_tokens": 0,
        "output_audio_tokens": 0,
        "num_model_requests": 20,
        "project_id": "proj_1",
        "user_id": None,
        "api_key_id": "key_1",
        "model": "gpt-4o-2024-08-06",
        "batch": False,
        "service_tier": "default",
        **fields,
    }


def page(*results: Json, start: int = DAY) -> Json:
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(results)}
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None}


def anthropic_result(**fields: Any) -> Json:
    return {
        "uncached_input_tokens": 1_500,
        "cache_creation": {"ephemeral_1h_input_tokens": 1_000, "ephemeral_5m_input_tokens": 500},
        "cache_read_input_tokens": 200,
        "output_tokens": 500,
        "server_tool_use": {"web_search_requests": 10},
        "api_key_id": "apikey_1",
        "workspace_id": "wrkspc_1",
        "account_id": None,
        "service_account_id": None,
        "model": "claude-sonnet-4-6",
        "service_tier": "standard",
        "context_window": "0-200k",
        "inference_geo": "global",
        "speed": "standard",
        **fields,
    }


def report(*results: Json) -> Json:
    bucket = {
        "starting_at": "2026-09-01T00:00:00Z",
        "ending_at": "2026-09-02T00:00:00Z",
        "results": list(results),
    }
    return {"data": [bucket], "has_more": False, "next_page": None}


def cost() -> Decimal:
    """Of everything in the books, by the product's own report."""
    fold()
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(list_cost) FROM cost_day")
        return Decimal(cursor.fetchone()[0])


def reasons() -> list[tuple[str, str]]:
    return sorted(Quarantined.objects.values_list("field", "code"))


def test_openai_rows_are_booked_once_with_their_subsets(tmp_path: Path) -> None:
    file = written(tmp_path, page(openai_result(), openai_result(batch=True), openai_result(user_id="u-1")))

    assert "3 records, 3 accepted" in import_events(file, "openai_usage")
    assert "3 records, 0 accepted, 3 duplicates" in import_events(file, "openai_usage")

    assert (
        rows("input, cache_read, output, occurred_at")
        == [(4_000, 6_000, 2_000, datetime(2026, 9, 1, 12, tzinfo=UTC))] * 3
    )
    assert rows("source, operation", "dimension_set") == [("openai-usage-export", "usage_report")]
    ((detail,), *_) = rows("detail->'tags'")
    assert json.loads(detail) == {
        "report.requests": "20",
        "report.seconds": "86400",
        "project_id": "proj_1",
        "api_key_id": "key_1",
    }


def test_a_bucket_whose_numbers_changed_is_a_conflict_and_the_first_is_kept(tmp_path: Path) -> None:
    import_events(written(tmp_path, page(openai_result())), "openai_usage")
    later = import_events(written(tmp_path, page(openai_result(output_tokens=9_000))), "openai_usage")

    assert "0 accepted, 0 duplicates, 1 conflicts" in later
    assert rows("output") == [(2_000,)]
    assert Quarantined.objects.get().reason == "conflict"


def test_modalities_of_openai_are_uncached_and_cached_apart() -> None:
    (event,) = openai_events(
        [
            page(
                openai_result(
                    input_tokens=1_000,
                    input_uncached_tokens=700,
                    input_cached_tokens=300,
                    input_audio_tokens=200,
                    input_cached_audio_tokens=100,
                    output_audio_tokens=50,
                )
            )
        ]
    )
    usage = event["usage"]
    assert (usage["audio_input_tokens"], usage["audio_cached_tokens"]) == (300, 100)
    assert (usage["input_tokens"], usage["cache_read_tokens"], usage["audio_output_tokens"]) == (
        1_000,
        300,
        50,
    )


def test_what_cannot_be_priced_right_is_refused_with_its_reason(tmp_path: Path) -> None:
    old = {"object": "organization.usage.completions.result", "input_audio_tokens": 5, "input_tokens": 10}
    sent = page(
        openai_result(model=None),
        {**old, "output_tokens": 1, "num_model_requests": 1, "model": "gpt-4o"},
        {"object": "organization.usage.images.result", "images": 3, "model": "gpt-image-1"},
        openai_result(input_tokens=-1),
        openai_result(input_cached_tokens=10_001),
    )
    running = page(openai_result(), start=int(datetime.now(UTC).timestamp()) - 3_600)

    said = import_events(written(tmp_path, f"{json.dumps(sent)}\n{json.dumps(running)}"), "openai_usage")

    assert "6 records, 0 accepted, 0 duplicates, 0 conflicts, 6 in quarantine" in said
    assert reasons() == [
        ("end_time", "not_complete"),
        ("input_audio_tokens", "ambiguous"),
        ("input_tokens", "not_an_integer"),
        ("model", "required"),
        ("object", "no_tokens"),
        ("usage.input_tokens", "subset_exceeds_total"),
    ]


def test_anthropic_counts_are_exclusive_and_its_searches_are_units(tmp_path: Path) -> None:
    price_list.load()
    import_events(written(tmp_path, report(anthropic_result())), "anthropic_usage")

    assert rows("input, cache_read, cache_write, cache_write_1h, output") == [(1_500, 200, 500, 1_000, 500)]
    assert rows("quantity", "call_unit") == [(Decimal(10),)]
    # 1500 x 3 + 200 x 0.30 + 500 x 3.75 + 1000 x 6 + 500 x 15 dollars a million; 10 searches at a cent.
    assert cost() == Decimal("0.019935") + Decimal("0.1")


@pytest.mark.parametrize(
    ("window", "a_million"), [("0-200k", 3), ("200k-1M", 6), ("≤ 200k", 3), ("> 200k", 6), (None, 3)]
)
def test_the_window_of_a_row_decides_the_band_of_its_price(
    tmp_path: Path, window: str | None, a_million: int
) -> None:
    price_list.load()
    result = anthropic_result(
        uncached_input_tokens=50_000_000,
        cache_creation={},
        cache_read_input_tokens=0,
        output_tokens=0,
        server_tool_use={},
        context_window=window,
    )
    sent = json.loads(json.dumps(report(result)).replace("2026-09", "2026-02").replace("02-01T", "02-20T"))
    sent["data"][0]["ending_at"] = "2026-02-21T00:00:00Z"

    import_events(written(tmp_path, sent), "anthropic_usage")

    assert cost() == 50 * a_million


def test_openai_rows_are_priced_by_the_mean_size_of_their_calls(tmp_path: Path) -> None:
    price_list.load()
    sums = {"input_cached_tokens": 0, "output_tokens": 0, "model": "gpt-6-astra", "service_tier": "standard"}
    small = openai_result(input_tokens=3_000_000, num_model_requests=3_000, **sums)
    large = openai_result(input_tokens=3_000_000, num_model_requests=10, api_key_id="key_2", **sums)

    import_events(written(tmp_path, page(small, large)), "openai_usage")

    assert cost() == 3 * 10 + 3 * 20


def test_a_row_larger_than_an_event_may_be_comes_in_parts(tmp_path: Path) -> None:
    result = anthropic_result(uncached_input_tokens=2_500_000_001, server_tool_use={})
    file = written(tmp_path, report(result))

    assert "3 accepted" in import_events(file, "anthropic_usage")
    assert "3 duplicates" in import_events(file, "anthropic_usage")

    assert rows("sum(input), sum(cache_read), sum(cache_write), sum(cache_write_1h), sum(output)") == [
        (2_500_000_001, 200, 500, 1_000, 500)
    ]


@given(st.lists(st.integers(0, 4 * 10**9), min_size=5, max_size=5))
def test_parts_add_up_and_no_subset_outgrows_its_total(counts: list[int]) -> None:
    names = ("uncached_input_tokens", "cache_read_input_tokens", "output_tokens")
    fields: Json = dict(zip(names, counts[:3], strict=True))
    creation = {"ephemeral_5m_input_tokens": counts[3], "ephemeral_1h_input_tokens": counts[4]}

    events = list(anthropic_events([report(anthropic_result(**fields, cache_creation=creation))]))

    usages = [event["usage"] for event in events]
    assert sum(usage["input_tokens"] for usage in usages) == sum(counts) - counts[2]
    assert sum(usage["output_tokens"] for usage in usages) == counts[2]
    for usage in usages:
        assert max(value for value in usage.values() if isinstance(value, int)) <= 10**9
        assert usage["cache_write_1h_tokens"] <= usage["cache_write_tokens"]
        assert usage["cache_read_tokens"] + usage["cache_write_tokens"] <= usage["input_tokens"]


def test_files_from_the_consoles_are_read_too(tmp_path: Path) -> None:
    console = (
        "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
        "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
        "usage_output_tokens,web_search_count,inference_geo,speed\n"
        "2026-09-01,claude-sonnet-4-6,Search,Default,batch,≤ 200k,46981,15969,7,3,16932,0,not_available,\n"
    )
    dashboard = (
        "start_time,end_time,start_time_iso,input_tokens,output_tokens,num_model_requests,model,batch\n"
        f"{DAY},{DAY + 86_400},2026-09-01T00:00:00+00:00,100,10,2,gpt-4o,True\n"
    )

    import_events(written(tmp_path, console, "claude.csv"), "anthropic_usage")
    import_events(written(tmp_path, dashboard, "openai.csv"), "openai_usage")

    assert rows("input, cache_read, cache_write, cache_write_1h, output") == [
        (100, 0, 0, 0, 10),
        (46981, 3, 15969, 7, 16932),
    ]


FOCUS = {
    "BillingAccountId": "acct",
    "ChargeCategory": "Usage",
    "ChargeClass": None,
    "ChargePeriodStart": "2026-09-01T00:00:00Z",
    "ChargePeriodEnd": "2026-09-02T00:00:00Z",
    "ServiceProviderName": "Anthropic",
    "ConsumedUnit": "Tokens",
    "BillingCurrency": "USD",
    "BilledCost": "1.50",
    "SubAccountName": "Search",
    "Tags": '{"Team": "search"}',
    "SkuPriceDetails": '{"x_ModelName": "claude-sonnet-4-6"}',
}


def focus(quantity: str, meter: str, **fields: Any) -> Json:
    return {**FOCUS, "ConsumedQuantity": quantity, "SkuMeter": meter, **fields}


def focus_file(folder: Path, *found: Json) -> Path:
    columns = list(dict.fromkeys(name for row in found for name in row))
    table = pa.table({name: [row.get(name) for row in found] for name in columns})
    pq.write_table(table, folder / "focus.parquet")
    return folder / "focus.parquet"


def test_a_cached_conversation_in_focus_costs_what_its_worked_example_says(tmp_path: Path) -> None:
    price_list.load()
    file = focus_file(
        tmp_path,
        focus("500000", "Input Tokens"),
        focus("2000000", "Cache Write Input Tokens"),
        focus("8000000", "Cache Read Input Tokens"),
        focus("1.5", "Output Tokens", ConsumedUnit="1M Tokens"),
    )

    assert "4 accepted" in import_events(file, "focus")
    assert "4 duplicates" in import_events(file, "focus")

    assert cost() == Decimal("33.90")
    assert rows("sum(input), sum(cache_write), sum(cache_read), sum(output)") == [
        (500_000, 2_000_000, 8_000_000, 1_500_000)
    ]
    ((detail,), *_) = rows("detail")
    assert json.loads(detail) == {
        "reported_cost": {"amount": "1.50", "currency": "USD"},
        "tags": {"team": "search", "focus.account": "Search"},
        "context_tokens": 1,
    }


def test_rows_of_focus_that_are_no_tokens_say_why_they_are_refused(tmp_path: Path) -> None:
    file = focus_file(
        tmp_path,
        focus("1", "Input Tokens", ChargeCategory="Purchase"),
        focus("1", "Input Tokens", ChargeClass="Correction"),
        focus("24", "GPU", ConsumedUnit="Hours"),
        focus("7", "Tokens"),
        focus("7.5", "Input Tokens"),
        focus("7", "Input Tokens", SkuPriceDetails="{}"),
    )

    assert "0 accepted, 0 duplicates, 0 conflicts, 6 in quarantine" in import_events(file, "focus")

    assert reasons() == [
        ("ChargeCategory", "not_usage"),
        ("ChargeCategory", "not_usage"),
        ("ConsumedQuantity", "not_an_integer"),
        ("ConsumedUnit", "not_tokens"),
        ("SkuMeter", "unknown_kind"),
        ("x_ModelName", "required"),
    ]


def test_equal_rows_of_focus_are_each_a_charge(tmp_path: Path) -> None:
    file = focus_file(tmp_path, focus("10", "Input Tokens"), focus("10", "Input Tokens"))
    assert "2 accepted" in import_events(file, "focus")
    assert "2 duplicates" in import_events(file, "focus")


def test_litellm_logs_are_read_from_files_without_what_was_said(tmp_path: Path) -> None:
    payload = {
        "litellm_call_id": "call-1",
        "model": "gpt-4o",
        "custom_llm_provider": "openai",
        "startTime": DAY,
        "endTime": DAY + 1.5,
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "response_cost": 0.0003,
        "messages": [{"role": "user", "content": "a secret"}],
        "response": None,
    }
    file = written(tmp_path, f"{json.dumps(payload)}\n{{}}\n")

    said = import_events(file, "litellm")

    assert "2 records, 1 accepted, 0 duplicates, 0 conflicts, 1 in quarantine" in said
    assert "1 fields with content dropped" in said
    assert rows("input, output") == [(100, 5)]
    assert reasons() == [("startTime", "not_a_payload")]


def test_a_constant_completes_what_a_report_cannot_say(tmp_path: Path) -> None:
    import_events(written(tmp_path, page(openai_result())), "openai_usage", constants=[("team", "search")])
    assert rows("team", "dimension_set") == [("search",)]
    with pytest.raises(CommandError, match="--map"):
        import_events(written(tmp_path, page()), "openai_usage", columns=[("team", "project_id")])
