"""How LiteLLM calls providers, kinds of call, errors and what a request is for; and how we do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from attribution.ingest.otlp.names import AMBIGUOUS, OURS

FAILURE = "failure"
# How many attempts the router made before this one: in its own group, and in others.
ATTEMPT_HEADERS = ("x-litellm-attempted-retries", "x-litellm-attempted-fallbacks")
SPEEDS = ("standard", "fast")
# These name in an answer the dated model that served it; others call models otherwise there.
NAME_SNAPSHOTS = frozenset({"openai", "azure", "anthropic"})

# Where the price book calls a provider otherwise; all others go by LiteLLM's name.
_PROVIDERS = {
    "anthropic_text": "anthropic",
    "azure_ai": "azure",
    "azure_text": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "hosted_vllm": "vllm",
    "moonshot": "moonshotai",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "google-vertex",
    "vertex_ai_beta": "google-vertex",
}
# Of these the path after the provider says how they are called, not which model it is.
_WAYS = frozenset({"converse", "invoke", "responses", "chat"})
RETRIEVED = "retrieve"
_OPERATIONS = {
    "completion": "chat",
    "responses": "chat",
    "anthropic_messages": "chat",
    "generate_content": "chat",
    "text_completion": "completion",
    "embedding": "embeddings",
    "image_generation": "image",
    "image_edit": "image",
    "transcription": "transcription",
    "speech": "speech",
    "rerank": "rerank",
    "moderation": "moderation",
    # An answer of before that is looked up again, with the usage that it had.
    "get_responses": RETRIEVED,
    "list_input_items": RETRIEVED,
    "delete_responses": RETRIEVED,
    "cancel_responses": RETRIEVED,
}
# What a provider charges for: such a call that succeeded has used something, whether or not it is told.
CHARGED = frozenset(_OPERATIONS.values()) - {"moderation", RETRIEVED}
# Our names as a request may say them.
_SAID = {
    **{name: name for name in OURS if name not in AMBIGUOUS},
    **{f"finops.{name}": name for name in AMBIGUOUS},
}
_SLUGS = frozenset(OURS) - {"end_user", "session_id", "task_id"}
_HEADER = "x-finops-"
_NO_SLUG = re.compile(r"[^\w.:/@+#-]+")
_NO_TAG_KEY = re.compile(r"[^a-z0-9_.-]+")
_LONGEST, _LONGEST_KEY, _LONGEST_VALUE, _MOST_TAGS = 128, 64, 256, 20


def provider_and_model(provider: str, model: str) -> tuple[str, str]:
    """Our name of the provider, and the model without the path that LiteLLM puts before it."""
    told, _, rest = model.partition("/")
    if rest and (told == provider or not provider):
        provider, model = told, rest
    way, _, rest = model.partition("/")
    if rest and way in _WAYS:
        model = rest
    provider = provider.lower()
    return _PROVIDERS.get(provider, provider) or "unknown", model


def operation(call_type: str) -> str:
    """What kind of call it was; asynchronous ones have an ``a`` before the same name."""
    return _OPERATIONS.get(call_type) or _OPERATIONS.get(call_type.removeprefix("a")) or slug(call_type)


def status(error_class: str) -> str:
    """How a failed call ended, by its error."""
    name = error_class.lower()
    if "timeout" in name:
        return "timeout"
    if "contentpolicy" in name or "guardrail" in name:
        return "refused"
    return "cancelled" if "cancel" in name else "error"


def region(inference_geo: str | None) -> str | None:
    """Anthropic's place of inference; everywhere is the same as none."""
    return None if inference_geo == "global" else inference_geo


def service_tier(*told: str | None) -> str | None:
    """The first that was told; "auto" is what a client asks for, not what it was served."""
    return next((tier for tier in told if tier and tier != "auto"), None)


def slug(text: str) -> str:
    """The text as a name that people group by: what a name may not have becomes a hyphen."""
    return _NO_SLUG.sub("-", text.strip()).strip("-")[:_LONGEST]


def instant(text: str) -> datetime:
    """The time that a text tells. Raises ValueError, also where it has no offset."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time needs an offset")
    return time


@dataclass(frozen=True, slots=True)
class Said:
    """What a request said it was for: our names, and tags for everything else."""

    names: dict[str, str]
    tags: dict[str, str]

    @classmethod
    def of(
        cls,
        headers: Mapping[str, Any] | None,  # Any: JSON
        metadata: Mapping[str, Any] | None,
        tags: Sequence[Any] | None,
    ) -> Self:
        """From ``X-Finops-*`` headers, ``spend_logs_metadata`` and ``request_tags``; the first wins."""
        found: dict[str, str] = {}
        kept: dict[str, str] = {}
        for name, value in (*_of_headers(headers), *_of_metadata(metadata), *_of_tags(tags)):
            if ours := _SAID.get(name.replace("-", "_").lower()):
                found.setdefault(ours, slug(value) if ours in _SLUGS else value[:_LONGEST])
            else:
                kept.setdefault(_NO_TAG_KEY.sub("-", name.lower())[:_LONGEST_KEY], value[:_LONGEST_VALUE])
        return cls({name: value for name, value in found.items() if value}, kept)


def with_key(
    tags: Mapping[str, str], *, key_alias: str | None, organisation: str | None, team: str | None
) -> dict[str, str] | None:
    """The tags with those of the key. A team is among them as LiteLLM spells it where ours differs."""
    of_key = {
        "litellm.key": key_alias,
        "litellm.organisation": organisation,
        "litellm.team": team if team and slug(team) != team else None,
    }
    found = {name: value[:_LONGEST_VALUE] for name, value in of_key.items() if value}
    for name, value in tags.items():
        if len(found) == _MOST_TAGS:
            break
        found.setdefault(name, value)
    return found or None


def _of_headers(headers: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    for name, value in (headers or {}).items():
        lowered = name.lower()
        if lowered.startswith(_HEADER) and isinstance(value, str) and value:
            yield _SHORT.get(lowered.removeprefix(_HEADER), lowered.removeprefix(_HEADER)), value


# The gateway's headers.
_SHORT = {
    "task": "task_id",
    "session": "session_id",
    "user": "end_user",
    **{name: f"finops.{name}" for name in AMBIGUOUS},
}


def _of_metadata(metadata: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    for name, value in (metadata or {}).items():
        if name and isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            yield name, str(value)


def _of_tags(tags: Sequence[Any] | None) -> Iterator[tuple[str, str]]:
    """``feature:chat`` is a name and a value; a tag without a colon only says that it is there."""
    for tag in tags or ():
        if isinstance(tag, str) and tag:
            name, _, value = tag.partition(":")
            # LiteLLM adds the client's program as a tag of its own; it is no purpose.
            if name != "User-Agent" and name.strip():
                yield name.strip(), value.strip() or "true"
