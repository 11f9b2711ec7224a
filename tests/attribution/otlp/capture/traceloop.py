"""OpenLLMetry: ``Traceloop.init``, and a workflow of its own as the parent."""

from __future__ import annotations

import os
from collections.abc import Callable

from opentelemetry.trace import get_tracer_provider
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import workflow

from tests.attribution.otlp.capture import anthropic_calls, openai_calls
from tests.attribution.otlp.capture.recording import Recording, Remark, recording


def _workflows(made: Recording, call: Callable[[str], object]) -> None:
    def answer(*, in_two: bool) -> None:
        call("")
        call("cached")
        if in_two:
            made.flush()

    ticket = workflow(name="answer_ticket")(answer)
    with made.scenario("parent_one_request"):
        ticket(in_two=False)
    with made.scenario("parent_two_requests", orders=["as listed", "reversed"]):
        ticket(in_two=True)


def _associated(made: Recording, call: Callable[[str], object]) -> None:
    def answer() -> None:
        Traceloop.set_association_properties({"finops.feature": "checkout", "user_id": "user-3"})
        call("")

    with made.scenario("association", feature="checkout", end_user="user-3"):
        workflow(name="answer_ticket")(answer)()


NOTE = """\
One span a call, gen_ai.provider.name, inclusive input; prompts and answers in gen_ai.input.messages and
gen_ai.output.messages. Association properties are copied to spans that start after they are set."""
ONE_MORE = "The one token of output in message_start is added to the final count."

with recording("traceloop") as made:
    made.of("traceloop-sdk", "opentelemetry-sdk", "openai", "anthropic", note=NOTE)
    no_1h = ("cache_write_1h_tokens",)
    made.remarks = {
        "messages_caches": Remark(lost=no_1h),
        "messages_stream": Remark(told_wrong={"output_tokens": 31}, note=ONE_MORE),
        "messages_stream_cached": Remark(told_wrong={"output_tokens": 211}, note=ONE_MORE),
        "messages_stream_caches": Remark(lost=no_1h, told_wrong={"output_tokens": 221}, note=ONE_MORE),
    }
    os.environ |= {"TRACELOOP_TELEMETRY": "false", "TRACELOOP_METRICS_ENABLED": "false"}
    Traceloop.init(app_name="shop", api_endpoint=made.receiver.url, telemetry_enabled=False)
    made.flush = lambda: get_tracer_provider().force_flush()
    client = openai_calls.openai_client(made)
    openai_calls.openai_calls(made, client)
    anthropic_calls.anthropic_calls(made, anthropic_calls.anthropic_client(made))
    _workflows(made, openai_calls.openai_chat(client))
    _associated(made, openai_calls.openai_chat(client))
