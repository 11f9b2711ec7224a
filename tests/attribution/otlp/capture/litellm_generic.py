"""LiteLLM's callback "generic_api", as the proxy sends it, in its three forms.

What the proxy adds for the key of a request (team, user, key) is given here in ``metadata``, which is
how the proxy itself hands it to the library.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import litellm
from litellm.caching.caching import Cache
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger

from tests.attribution.otlp.capture import scenarios
from tests.attribution.otlp.capture.recording import Recording, Remark, recording

FOLDER = Path(__file__).parents[2] / "litellm" / "fixtures"
KEY = {
    "user_api_key_hash": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
    "user_api_key_alias": "shop-backend",
    "user_api_key_team_id": "payments",
    "user_api_key_team_alias": "Payments",
    "user_api_key_user_id": "user-3",
    "user_api_key_org_id": "org-1",
    "user_api_key_end_user_id": "customer-9",
    "tags": ["feature:checkout", "production"],
}
NOTE = """\
A JSON array unless the scenario's name says otherwise; NDJSON too comes as application/json. prompt_tokens
counts caches in, for Anthropic too. litellm_call_id is of one attempt, trace_id of all; id is the provider's,
of failures litellm_call_id again. Times are seconds since the epoch.
"""
CLAUDE = "anthropic/claude-sonnet-4-5"


async def _settled() -> None:
    """Until the callbacks, which LiteLLM runs behind the answer, have queued what they log."""
    await asyncio.sleep(1)


async def _tried(call: Awaitable[Any]) -> Any:
    with contextlib.suppress(Exception):
        return await call


async def _complete(made: Recording, word: str, model: str = "openai/gpt-4o", **more: Any) -> Any:
    base = made.upstream.url if model.startswith("anthropic/") else f"{made.upstream.url}/v1"
    return await litellm.acompletion(
        model=model,
        messages=scenarios.said(word),
        api_base=base,
        api_key="sk-none",
        metadata=dict(KEY),
        user="customer-9",
        **more,
    )


async def _drain(stream: Any) -> None:
    async for _piece in stream:
        pass


async def _embed(made: Recording) -> None:
    await litellm.aembedding(
        model="openai/text-embedding-3-small",
        input=["hello"],
        api_base=f"{made.upstream.url}/v1",
        api_key="sk-none",
        metadata=dict(KEY),
    )


async def _fall_back(made: Recording) -> None:
    """The first model fails twice, the second answers: three attempts of one trace."""
    where = {"api_base": f"{made.upstream.url}/v1", "api_key": "sk-none"}
    router = litellm.Router(
        model_list=[
            {"model_name": "first", "litellm_params": {"model": "openai/gpt-4o", **where}},
            {"model_name": "second", "litellm_params": {"model": "openai/gpt-4o-mini", **where}},
        ],
        fallbacks=[{"first": ["second"]}],
        num_retries=1,
        retry_after=0,
    )
    await router.acompletion(model="first", messages=scenarios.said("down"), metadata=dict(KEY))


async def _ask_twice(made: Recording) -> None:
    litellm.cache = Cache(type="local")
    for _ in range(2):
        await _complete(made, "", caching=True)
        await _settled()
    litellm.cache = None


async def _record(made: Recording, name: str, *calls: Awaitable[Any], logger: GenericAPILogger) -> None:
    with made.scenario(name):
        for call in calls:
            await _tried(call)
        await _settled()
        await logger.flush_queue()


async def _all(made: Recording) -> None:
    logger = GenericAPILogger(endpoint=f"{made.receiver.url}/api/v1/ingest/litellm")
    litellm.callbacks = [logger]

    async def drained(word: str, model: str, **more: Any) -> None:
        await _drain(await _complete(made, word, model, stream=True, **more))

    usage = {"stream_options": {"include_usage": True}}
    recorded: dict[str, list[Awaitable[Any]]] = {
        "chat": [_complete(made, "")],
        "chat_stream": [drained("", "openai/gpt-4o", **usage)],
        "chat_stream_without_usage": [drained("", "openai/gpt-4o")],
        "cached": [_complete(made, "cached")],
        "reasoning": [_complete(made, "reasoning", "openai/o4-mini")],
        "embeddings": [_embed(made)],
        "failed_429": [_complete(made, "fail429", num_retries=0)],
        "failed_500": [_complete(made, "fail500", num_retries=0)],
        "messages": [_complete(made, "", CLAUDE)],
        "messages_caches": [_complete(made, "caches", CLAUDE)],
        "messages_stream_caches": [drained("caches", CLAUDE, **usage)],
        "fallback": [_fall_back(made)],
        "cache_hit": [_ask_twice(made)],
        "several": [_complete(made, ""), _complete(made, "cached"), _complete(made, "caches", CLAUDE)],
    }
    for name, calls in recorded.items():
        await _record(made, name, *calls, logger=logger)
    for form in ("ndjson", "single"):
        logger.log_format = form
        made.suffix = "ndjson" if form == "ndjson" else "json"
        calls = [_complete(made, ""), _complete(made, "caches", CLAUDE)]
        await _record(made, form, *calls, logger=logger)


with recording("litellm generic_api", FOLDER) as made:
    made.of("litellm", "openai", note=NOTE)
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    made.remarks = {
        "chat_stream_without_usage": Remark(
            lost=("usage",), told_wrong={"input_tokens": 0, "output_tokens": 0}, note="Told as 0 and 0."
        ),
        "cache_hit": Remark(note="One call; the second answer came from LiteLLM's own cache: cache_hit."),
    }
    asyncio.run(_all(made))
