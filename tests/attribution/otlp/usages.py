"""What the upstream of the captures says was used: known numbers, chosen by a word in the prompt."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, counted inclusively: the last four are parts of the first two."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0  # all of it, whichever time it is kept
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def uncached_tokens(self) -> int:
        """Input as Anthropic tells it."""
        return self.input_tokens - self.cache_read_tokens - self.cache_write_tokens


NOTHING = Usage()
USAGES = {
    "plain": Usage(120, 30),
    "cached": Usage(2048, 64, cache_read_tokens=1536),
    "reasoning": Usage(90, 500, reasoning_tokens=420),
    "tool": Usage(310, 25),
    "tool_answer": Usage(360, 18),
    "caches": Usage(11052, 220, cache_read_tokens=10000, cache_write_tokens=752, cache_write_1h_tokens=256),
    "cached_stream": Usage(1174, 210, cache_read_tokens=150),
    "embedding": Usage(42, 0),
}
# The same words with the status they make the upstream answer.
FAILURES = {"fail429": 429, "fail500": 500}
# What a provider answers when it is asked for an alias.
SERVED_MODELS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "o4-mini": "o4-mini-2025-04-16",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}
_WORD = re.compile(r"#(\w+)")


@dataclass(frozen=True, slots=True)
class Served:
    """One call as the upstream answered it: the truth that a trace is compared with."""

    provider: str
    operation: str
    model_requested: str
    model: str
    status: int
    usage: Usage

    def told(self) -> dict[str, Any]:
        """For a manifest."""
        said = asdict(self)
        usage = said.pop("usage")
        return {
            **said,
            "status": "success" if self.status == 200 else "error",
            "http_status": self.status,
            **usage,
        }


def word_of(request: dict[str, Any]) -> str:
    """The word behind ``#`` in a request's prompt; an answer to a tool call has one of its own."""
    text = json.dumps([request.get(key) for key in ("messages", "input", "system")])
    found = _WORD.search(text)
    word = found[1] if found else "plain"
    if word == "tool" and ('"role": "tool"' in text or "tool_result" in text or "call_output" in text):
        return "tool_answer"
    return word


def usage_for(word: str) -> Usage:
    """Of a prompt that holds this word; any other prompt is a plain one."""
    return USAGES.get(word, USAGES["plain"])
