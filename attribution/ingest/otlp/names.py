"""How instrumentations spell what we need: for each of our names, the attributes that may hold it.

Of several spellings the first that is there counts, so a span that carries two of them for the same
tokens is counted once. The lists follow what the exporters send, not only what the conventions say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

_G = "gen_ai.usage."
_L = "llm.token_count."
_A = "ai.usage."

USAGE: dict[str, tuple[str, ...]] = {
    "input_tokens": (
        f"{_G}input_tokens",
        f"{_G}prompt_tokens",
        f"{_L}prompt",
        f"{_A}inputTokens",
        f"{_A}promptTokens",
        f"{_A}tokens",
        "llm.usage.prompt_tokens",
    ),
    "output_tokens": (
        f"{_G}output_tokens",
        f"{_G}completion_tokens",
        f"{_L}completion",
        f"{_A}outputTokens",
        f"{_A}completionTokens",
        "llm.usage.completion_tokens",
    ),
    "cache_read_tokens": (
        f"{_G}cache_read.input_tokens",
        f"{_G}cache_read_input_tokens",
        f"{_G}cache_read_tokens",
        f"{_G}input_cached_tokens",
        f"{_G}details.cache_read_tokens",
        f"{_G}details.cache_read_input_tokens",
        f"{_G}details.cached_tokens",
        f"{_L}prompt_details.cache_read",
        f"{_A}inputTokenDetails.cacheReadTokens",
        f"{_A}cachedInputTokens",
        "llm.usage.cache_read_input_tokens",
    ),
    "cache_write_tokens": (
        f"{_G}cache_write.input_tokens",
        f"{_G}cache_creation.input_tokens",
        f"{_G}cache_creation_input_tokens",
        f"{_G}cache_write_tokens",
        f"{_G}details.cache_write_tokens",
        f"{_G}details.cache_creation_input_tokens",
        f"{_L}prompt_details.cache_write",
        f"{_A}inputTokenDetails.cacheWriteTokens",
        "llm.usage.cache_creation_input_tokens",
    ),
    "cache_write_1h_tokens": (
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
        f"{_G}details.ephemeral_1h_input_tokens",
        f"{_G}details.cache_creation_ephemeral_1h_input_tokens",
    ),
    "reasoning_tokens": (
        f"{_G}reasoning.output_tokens",
        f"{_G}reasoning_tokens",
        f"{_G}details.reasoning_tokens",
        f"{_L}completion_details.reasoning",
        f"{_A}outputTokenDetails.reasoningTokens",
        f"{_A}reasoningTokens",
    ),
    "audio_input_tokens": (
        f"{_G}audio.input_tokens",
        f"{_G}input_audio_tokens",
        f"{_G}details.input_audio_tokens",
        f"{_L}prompt_details.audio",
    ),
    "audio_output_tokens": (
        f"{_G}audio.output_tokens",
        f"{_G}output_audio_tokens",
        f"{_G}details.output_audio_tokens",
        f"{_L}completion_details.audio",
    ),
}

# The provider's own usage object, as JSON in one attribute.
USAGE_OBJECTS = ("langfuse.observation.usage_details", f"{_G}raw")
# LiteLLM's spans: the request's with LiteLLM's usage object, the raw one inside with the provider's.
LITELLM = "litellm"
LITELLM_USAGE = "metadata.usage_object"
LITELLM_RAW = "raw_gen_ai_request"

PROVIDER = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
)
MODEL = (
    "gen_ai.response.model",
    "ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "llm.response.model",
    "llm.request.model",
    "embedding.model_name",
    "langfuse.observation.model.name",
    "ai.model.id",
)
# JSON with the model among the request's settings; read for it and dropped.
REQUEST_SETTINGS = "llm.invocation_parameters"
# The provider's own id of an answer: no call's identity, but two calls hardly share one.
ANSWER = ("gen_ai.response.id", "ai.response.id", "llm.response.id")
MODEL_REQUESTED = ("gen_ai.request.model", "llm.request.model", "llm.request.model_name", "ai.model.id")
SERVICE_TIER = (
    "gen_ai.openai.response.service_tier",
    "openai.response.service_tier",
    "gen_ai.response.service_tier",
    "gen_ai.usage.service_tier",
)
END_USER = (
    "enduser.id",
    "user.id",
    "gen_ai.user",
    "gen_ai.request.user",
    "langfuse.user.id",
    "traceloop.association.properties.user_id",
)
SESSION = (
    "session.id",
    "gen_ai.conversation.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
)
ERROR_TYPE = ("error.type", "exception.type")
# Seconds until the first token came.
FIRST_TOKEN_SECONDS = (
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
    "gen_ai.latency.time_to_first_token",
)
FIRST_TOKEN_MS = ("ai.response.msToFirstChunk",)
REPORTED_COST = ("gen_ai.usage.cost", "operation.cost", "gen_ai.cost.total_cost", "llm.cost.total")

# What the span is about. The first that is there decides.
OPERATION = ("gen_ai.operation.name", "llm.request.type")
KIND = ("openinference.span.kind", "traceloop.span.kind", "langfuse.observation.type")
# Spans of these operations and kinds hold calls together; they are none, whatever they repeat.
CONTAINERS = frozenset(
    {
        "agent",
        "chain",
        "create_agent",
        "evaluator",
        "event",
        "execute_tool",
        "guardrail",
        "invoke_agent",
        "invoke_workflow",
        "plan",
        "retriever",
        "span",
        "task",
        "tool",
        "workflow",
    }
)
# Of these a provider makes a call, also where the span carries no usage.
CALLS = frozenset(
    {
        "chat",
        "completion",
        "embedding",
        "embeddings",
        "generate_content",
        "generation",
        "llm",
        "messages",
        "response",
        "responses",
        "text_completion",
    }
)

# Everything that is looked for on a span, besides our own names.
FIELDS: dict[str, tuple[str, ...]] = {
    **USAGE,
    "provider": PROVIDER,
    "model": MODEL,
    "model_requested": MODEL_REQUESTED,
    "service_tier": SERVICE_TIER,
    "answer": ANSWER,
    "error_type": ERROR_TYPE,
    "first_token_seconds": FIRST_TOKEN_SECONDS,
    "first_token_ms": FIRST_TOKEN_MS,
    "reported_cost": REPORTED_COST,
    "operation": OPERATION,
    "kind": KIND,
}

# Our own names, on the span, in its baggage, on the spans around it or on its resource.
OURS = (
    "team",
    "feature",
    "tier",
    "environment",
    "workflow",
    "step",
    "prompt_version",
    "release",
    "customer",
    "account",
    "end_user",
    "session_id",
    "task_id",
)
# Words that others use for something else, as for their customers' accounts: ours only with ``finops.``
# before them.
AMBIGUOUS = frozenset({"account"})
# How others call two of them; after our own spellings.
USUAL = {"end_user": END_USER, "session_id": SESSION}
# In front of our name, with and without ``finops.`` before it.
METADATA = (
    "traceloop.association.properties.",
    "langfuse.trace.metadata.",
    "langfuse.observation.metadata.",
    "ai.telemetry.metadata.",
    "gen_ai.request.metadata.",
)
# Instrumentation that providers build into their SDKs: its spans lie inside those of others, or, for
# streams, in a trace of their own.
PROVIDERS_OWN = frozenset({"com.anthropic.sdk.python", "com.anthropic.sdk.typescript"})

# Where nobody said it in our words, on the resource.
RESOURCE_WORDS = {
    "environment": ("deployment.environment.name", "deployment.environment"),
    "release": ("service.version",),
}

VLLM = "vllm"
# vLLM's engine does not say which model it serves: its resource may.
MODEL_OF_ENGINE = ("finops.model", "gen_ai.response.model", "gen_ai.request.model")
UNKNOWN_MODEL = "unknown"

# A provider that calls itself by its API, as "openai.chat" or "anthropic.messages".
MODELS_OF_PROVIDERS = (
    ("claude", "anthropic"),
    ("gpt-", "openai"),
    ("chatgpt", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("gemini", "google"),
    ("mistral", "mistral"),
    ("codestral", "mistral"),
    ("grok", "xai"),
    ("deepseek", "deepseek"),
    ("command", "cohere"),
)

_CONTENT_PREFIXES = (
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.completions",
    "llm.tools",
    "llm.request.functions",
    "input.",
    "output.",
    "embedding.embeddings",
    "embedding.text",
    "retrieval.documents",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "ai.prompt",
    "ai.response.text",
    "ai.response.toolCalls",
    "ai.response.object",
    "ai.value",
    "ai.toolCall.",
    "request_data",
    "response_data",
    "all_messages_events",
    "pydantic_ai.all_messages",
    "final_result",
    "events",
    "tool_arguments",
    "tool_response",
    "model_request_parameters",
)
# Of what LiteLLM copies from a provider's answer, ``llm.openai.choices`` and the like, these are numbers
# and names.
_LITELLM_PLAIN = ("usage", "model", "service_tier")
_THREE_PARTS = 3
_NOT_PROVIDERS = frozenset({"token_count", "usage", "request", "response", "cost"})
_NOT_CONTENT = frozenset({"gen_ai.prompt.version", "gen_ai.prompt.name"})


_MOST_SHAPES = 1_000


class Index:
    """Which names the attributes of a span hold: of several spellings of a name the first that is there.

    Spans of one instrumentation have the same attributes, so it is worked out once for each set of them.
    """

    def __init__(self, spellings: Mapping[str, Sequence[str]]) -> None:
        self._places: dict[str, list[tuple[int, str]]] = {}  # of an attribute, in each name it may hold
        for name, spelled in spellings.items():
            for place, attribute in enumerate(spelled):
                self._places.setdefault(attribute, []).append((place, name))
        self._shapes: dict[tuple[str, ...], list[tuple[str, list[str]]]] = {}

    def told(self, attributes: Mapping[str, Any]) -> dict[str, Any]:  # Any: values of attributes
        """The value of each name that is there."""
        keys = tuple(attributes)
        shape = self._shapes.get(keys)
        if shape is None:
            shape = self._learn(keys)
        found: dict[str, Any] = {}
        for name, spelled in shape:
            for attribute in spelled:
                value = attributes[attribute]
                if value is not None and value != "":
                    found[name] = value
                    break
        return found

    def _learn(self, keys: tuple[str, ...]) -> list[tuple[str, list[str]]]:
        """The names that these attributes hold, each with those that hold it, the first to look at first."""
        spelled: dict[str, list[tuple[int, str]]] = {}
        for attribute in keys:
            for place, name in self._places.get(attribute, ()):
                spelled.setdefault(name, []).append((place, attribute))
        shape = [(name, [attribute for _, attribute in sorted(each)]) for name, each in spelled.items()]
        if len(self._shapes) >= _MOST_SHAPES:
            self._shapes.clear()
        self._shapes[keys] = shape
        return shape


@lru_cache(maxsize=4096)
def is_content(key: str) -> bool:
    """Whether an attribute of this name may hold what was asked or answered."""
    if key.startswith(_CONTENT_PREFIXES):
        return key not in _NOT_CONTENT
    parts = key.split(".") if key.startswith("llm.") else []
    is_copied = len(parts) == _THREE_PARTS and parts[1] not in _NOT_PROVIDERS
    return is_copied and parts[2] not in _LITELLM_PLAIN
