"""OpenInference for OpenAI and Anthropic."""

from __future__ import annotations

from openinference.instrumentation import using_attributes
from openinference.instrumentation.anthropic import AnthropicInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor

from tests.attribution.otlp.capture import anthropic_calls, openai_calls, scenarios
from tests.attribution.otlp.capture.provider import tracing
from tests.attribution.otlp.capture.recording import Remark, recording

NOTE = """\
llm.token_count.*, inclusive; openinference.span.kind LLM or EMBEDDING; prompts and answers in input.value,
output.value and llm.*_messages.*. The Anthropic SDK's own span (scope com.anthropic.sdk.python) lies inside
the instrumentation's and repeats its usage; it alone tells the 1h part of cache writes."""
APART = """\
The SDK's own span is not inside the instrumentation's but in a trace of its own: one call, two traces, and
only the id of the answer (in output.value here) joins them."""

with recording("openinference") as made:
    made.of(
        "openinference-instrumentation-openai",
        "openinference-instrumentation-anthropic",
        "opentelemetry-sdk",
        "openai",
        "anthropic",
        note=NOTE,
    )
    no_alias = Remark(lost=("model_requested",), note="Of the request only llm.invocation_parameters tells.")
    failed = Remark(
        lost=("model", "model_requested"),
        note="The model is only in llm.invocation_parameters, the error's type only in the exception event.",
    )
    of_openai = ["chat", "chat_stream", "cached", "reasoning", "tool_call", "responses", "responses_stream"]
    others = ["parent_one_request", "parent_two_requests", "baggage", "attributes"]
    made.remarks = {
        **dict.fromkeys(of_openai + others, no_alias),
        "chat_stream_without_usage": Remark(lost=("usage", "model_requested")),
        "failed_429": failed,
        "failed_500": failed,
        "messages_stream_cached": Remark(note=APART),
    }
    provider = tracing(made)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    AnthropicInstrumentor().instrument(tracer_provider=provider)
    client = openai_calls.openai_client(made)
    chat = openai_calls.openai_chat(client)
    openai_calls.openai_calls(made, client)
    anthropic_calls.anthropic_calls(made, anthropic_calls.anthropic_client(made))
    scenarios.parents(made, chat)
    scenarios.with_baggage(made, chat)
    about = {"session_id": "s-1", "user_id": "user-3", "metadata": {"finops.feature": "checkout"}}
    with (
        made.scenario("attributes", feature="checkout", session_id="s-1", end_user="user-3"),
        using_attributes(**about),
    ):
        chat("")
