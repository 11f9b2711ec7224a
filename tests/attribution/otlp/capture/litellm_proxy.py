"""A real LiteLLM proxy: its callbacks "generic_api" and "otel" of the same calls, made by its users."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openai import OpenAI

from tests.attribution.otlp.capture import scenarios
from tests.attribution.otlp.capture.recording import FIXTURES, Recording, Remark, recording

PORT = 8484
FOLDERS = {
    "otel": FIXTURES / "litellm_proxy",
    "finops": Path(__file__).parents[2] / "litellm" / "fixtures" / "proxy",
}
NOTES = {
    "otel": """\
With USE_OTEL_LITELLM_REQUEST_SPAN: without it the proxy writes on FastAPI's spans, which have ended by then.
The answer's model is the proxy's name for it; litellm.provider.model is where a call went.""",
    "finops": "The model of the answer is the proxy's name for it.",
}
ALIAS = Remark(lost=("model",), note="Of streams only the name is told that was asked for.")
# What a key is, the proxy asks a database; without one, this.
KEYS = """
from litellm.proxy._types import UserAPIKeyAuth

async def key(request, api_key):
    return UserAPIKeyAuth(api_key=api_key, key_alias="shop-backend", team_id="t-1", team_alias="Payments",
                          user_id="user-3", org_id="org-1", metadata={}, team_metadata={})
"""


def configured(made: Recording, callback: str) -> dict[str, Any]:
    """The proxy's config.yaml; JSON is YAML too."""
    openai, anthropic = f"{made.upstream.url}/v1", made.upstream.url

    def model(name: str, of: str, base: str) -> dict[str, Any]:
        return {"model_name": name, "litellm_params": {"model": of, "api_base": base, "api_key": "sk-none"}}

    return {
        "model_list": [
            model("gpt-4o", "openai/gpt-4o", openai),
            model("small", "openai/gpt-4o-mini", openai),
            model("claude", "anthropic/claude-sonnet-4-5", anthropic),
            model("embed", "openai/text-embedding-3-small", openai),
        ],
        "router_settings": {"fallbacks": [{"gpt-4o": ["small"]}], "num_retries": 0},
        "general_settings": {"master_key": f"sk-{os.urandom(24).hex()}", "custom_auth": "keys.key"},
        "litellm_settings": {"callbacks": [callback]},
        "callback_settings": {
            "finops": {
                "callback_type": "generic_api",
                "endpoint": f"{made.receiver.url}/api/v1/ingest/litellm",
                "headers": {"Authorization": "Bearer none"},
            }
        },
    }


@contextmanager
def proxy(made: Recording, callback: str) -> Iterator[OpenAI]:
    """Serve until the block ends; a client of it."""
    settings = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "USE_OTEL_LITELLM_REQUEST_SPAN": "true",
        "OTEL_EXPORTER": "otlp_http",
        "OTEL_ENDPOINT": f"{made.receiver.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "otlp_http",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{made.receiver.url}/v1/traces",
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "keys.py").write_text(KEYS)
        (Path(folder) / "config.yaml").write_text(json.dumps(configured(made, callback)))
        litellm = str(Path(sys.executable).with_name("litellm"))
        running = subprocess.Popen(
            [litellm, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(PORT)],
            env=os.environ | settings,
            cwd=folder,
        )
        try:
            while not _answers():
                assert running.poll() is None
                time.sleep(1)
            yield OpenAI(base_url=f"http://127.0.0.1:{PORT}/v1", api_key="sk-payments", max_retries=0)
        finally:
            running.terminate()
            running.wait()


def _answers() -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health/liveliness").close()
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


def calls(client: OpenAI) -> dict[str, Callable[[], object]]:
    """What users of the proxy do, by scenario."""

    def chat(word: str = "", model: str = "gpt-4o", **more: Any) -> Any:
        with contextlib.suppress(Exception):
            return client.chat.completions.create(model=model, messages=scenarios.said(word), **more)

    said = {"X-Finops-Feature": "search", "X-Finops-Task": "task-1"}
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    return {
        "cached": lambda: chat("cached", extra_headers=said),
        "claude_caches": lambda: chat("caches", "claude"),
        "claude_stream_caches": lambda: scenarios.drain(chat("caches", "claude", **stream)),
        "embeddings": lambda: client.embeddings.create(model="embed", input=["hello"]),
        "fallback": lambda: chat("down"),
        "failed": lambda: chat("fail500", "claude"),
    }


def record(callback: str) -> None:
    """One callback's fixtures."""
    with recording(f"litellm proxy {callback}", FOLDERS[callback]) as made:
        made.of("litellm", "fastapi", note=NOTES[callback])
        made.remarks = {"claude_stream_caches": ALIAS}
        with proxy(made, callback) as client:
            made.flush = lambda: time.sleep(7)  # both callbacks send every five seconds
            for name, call in calls(client).items():
                with made.scenario(name):
                    call()


for callback in sys.argv[1:] or FOLDERS:
    record(callback)
