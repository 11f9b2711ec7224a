"""The demo company: its organisation, and what each feature's calls look like. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

TIERS = ("free", "pro", "enterprise")
TIER_NAMES = {"free": "Free", "pro": "Pro", "enterprise": "Enterprise"}
ENVIRONMENTS = ("production", "staging")
BUSINESS_UNITS = {"consumer": "Consumer", "business": "Business", "operations": "Operations"}
# Cost centre: its name and its business unit.
COST_CENTRES = {
    "4100": ("Discovery", "consumer"),
    "4200": ("Assistant", "consumer"),
    "5100": ("Documents", "business"),
    "5200": ("Developer tools", "business"),
    "6100": ("Customer care", "operations"),
    "6200": ("Go to market", "operations"),
}
# Team: its name and its cost centre.
TEAMS = {
    "search": ("Search", "4100"),
    "assistant": ("Assistant", "4200"),
    "documents": ("Documents", "5100"),
    "devtools": ("Developer tools", "5200"),
    "support": ("Support", "6100"),
    "trust": ("Trust and safety", "6100"),
    "sales": ("Sales", "6200"),
    "data": ("Data", "4100"),
}
UNKNOWN_TEAM = "growth-lab"
SOURCES = ("product-api", "agent-runtime", "internal-tools", "nightly-export", "notebooks")


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the company's clients name it, and how fast it answers."""

    provider: str
    name: str
    ttft_ms: int
    tokens_a_second: int
    writes_cache: bool = False
    reasons: bool = False
    embeds: bool = False


MODELS = (
    Model("openai", "gpt-5.6-sol", 620, 85, writes_cache=True, reasons=True),
    Model("openai", "gpt-5.6-terra", 480, 120, writes_cache=True, reasons=True),
    Model("openai", "gpt-5.6-luna", 260, 210, writes_cache=True),
    Model("openai", "gpt-5.4-mini", 310, 160),
    Model("openai", "text-embedding-3-small", 45, 20_000, embeds=True),
    Model("anthropic", "claude-opus-5", 900, 60, writes_cache=True, reasons=True),
    Model("anthropic", "claude-sonnet-5", 640, 90, writes_cache=True, reasons=True),
    Model("anthropic", "claude-sonnet-4-6", 700, 75, writes_cache=True, reasons=True),
    Model("anthropic", "claude-haiku-4-5", 330, 170, writes_cache=True),
    Model("mistral", "mistral-large-4", 420, 110),
    Model("mistral", "mistral-large-2512", 460, 95),
    Model("openai", "gpt-6.2-terra-preview", 510, 130, reasons=True),
)
SOL, TERRA, LUNA, MINI, EMBED, OPUS, SONNET, SONNET_46, HAIKU, LARGE_4, LARGE_3, PREVIEW = range(len(MODELS))
# The model that no price list knows: its calls must show up as unpriced.
UNPRICED_MODEL = MODELS[PREVIEW].name


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of call: which models answer it, and its tokens (medians of a lognormal)."""

    models: tuple[tuple[int, float], ...]
    input: int
    output: int
    name: str = ""
    cached: float = 0.0  # share of the prompt that is the same from call to call
    reasoning: float = 0.0  # share of the output
    tools: float = 0.0  # tool calls, mean
    retrieval: int = 0  # tokens fetched into the prompt, median
    spread: float = 0.55


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature, who owns it and how it is used."""

    slug: str
    name: str
    team: str
    weight: float  # share of the calls
    rhythm: str  # consumer, office, night or steady
    tiers: tuple[float, float, float]
    steps: tuple[Step, ...]
    rounds: float = 0.0  # further rounds through the steps a task, mean
    workflow: str = ""
    tags_team: bool = True  # whether its calls say their team; else its owner is charged
    source: int = 0
    from_cache: float = 0.0  # share answered from the application's own cache
    errors: float = 0.012


_CONSUMER = (0.62, 0.28, 0.10)
_PAID = (0.08, 0.52, 0.40)
_ENTERPRISE = (0.0, 0.22, 0.78)
_EVEN = (0.34, 0.33, 0.33)

# fmt: off
FEATURES = (
    Feature(
        "site-search", "Site search", "search", 9.0, "consumer", _CONSUMER,
        (
            Step(((EMBED, 1.0),), 46, 0, "embed"),
            Step(((LUNA, 0.8), (MINI, 0.2)), 2_300, 140, "rank", cached=0.5, retrieval=1_400),
        ),
        workflow="search-pipeline", from_cache=0.16,
    ),
    Feature(
        "query-rewrite", "Query rewriting", "search", 6.0, "consumer", _CONSUMER,
        (Step(((LUNA, 1.0),), 620, 45, cached=0.7),), from_cache=0.1,
    ),
    Feature(
        "recommendations", "Recommendations", "search", 4.0, "consumer", _CONSUMER,
        (Step(((MINI, 0.7), (LUNA, 0.3)), 3_100, 260, cached=0.4),), tags_team=False,
    ),
    Feature(
        "chat-assistant", "Chat assistant", "assistant", 14.0, "consumer", (0.45, 0.35, 0.20),
        (
            Step(
                ((TERRA, 0.55), (SONNET, 0.35), (LUNA, 0.1)), 3_900, 420,
                cached=0.62, reasoning=0.25, tools=0.3,
            ),
        ),
        rounds=2.6,
    ),
    Feature(
        "daily-briefing", "Daily briefing", "assistant", 3.5, "morning", (0.2, 0.5, 0.3),
        (Step(((TERRA, 1.0),), 7_800, 620, cached=0.3, reasoning=0.1, retrieval=5_600),),
    ),
    Feature(
        "trip-planner", "Trip planner", "assistant", 7.0, "consumer", (0.5, 0.4, 0.1),
        (
            Step(((SONNET, 1.0),), 4_200, 380, "plan", cached=0.5, reasoning=0.4),
            Step(((HAIKU, 1.0),), 2_600, 210, "search", cached=0.4, tools=2.2, retrieval=1_500),
            Step(((SONNET, 1.0),), 6_400, 900, "compose", cached=0.5, reasoning=0.2),
        ),
        workflow="trip-agent", source=1,
    ),
    Feature(
        "contract-review", "Contract review", "documents", 3.0, "office", _ENTERPRISE,
        (
            Step(((HAIKU, 1.0),), 9_500, 700, "extract", cached=0.2, spread=0.9),
            Step(((OPUS, 0.6), (SOL, 0.4)), 21_000, 1_500, "analyse", cached=0.55, reasoning=0.5, spread=0.9),
            Step(((OPUS, 1.0),), 14_000, 1_100, "draft", cached=0.6, reasoning=0.3, spread=0.8),
        ),
        workflow="contract-agent", source=1, errors=0.02,
    ),
    Feature(
        "document-summary", "Document summaries", "documents", 6.0, "office", _PAID,
        (Step(((TERRA, 0.5), (LARGE_3, 0.5)), 11_000, 520, cached=0.1, spread=0.9),),
    ),
    Feature(
        "translation", "Translation", "documents", 7.0, "office", _PAID,
        (Step(((LARGE_4, 1.0),), 2_700, 2_300, cached=0.15, spread=0.7),), tags_team=False,
    ),
    Feature(
        "code-suggestions", "Code suggestions", "devtools", 12.0, "office", (0.3, 0.4, 0.3),
        (Step(((LUNA, 0.6), (HAIKU, 0.4)), 3_400, 60, cached=0.72),), errors=0.008,
    ),
    Feature(
        "code-review", "Code review", "devtools", 3.0, "office", (0.05, 0.35, 0.60),
        (
            Step(((SONNET, 1.0),), 16_000, 650, "read", cached=0.7, reasoning=0.3, tools=1.2),
            Step(((OPUS, 0.5), (SONNET, 0.5)), 19_000, 1_300, "comment", cached=0.75, reasoning=0.45),
        ),
        rounds=0.5, workflow="review-agent", source=1,
    ),
    Feature(
        "test-writer", "Test writer", "devtools", 2.0, "office", (0.05, 0.45, 0.50),
        (
            Step(((TERRA, 1.0),), 8_800, 700, "outline", cached=0.5, reasoning=0.3),
            Step(((SOL, 1.0),), 12_000, 2_100, "write", cached=0.6, reasoning=0.35, tools=1.8),
        ),
        rounds=0.8, workflow="test-agent", tags_team=False, source=1,
    ),
    Feature(
        "ticket-triage", "Ticket triage", "support", 5.0, "office", _EVEN,
        (Step(((MINI, 0.6), (LUNA, 0.4)), 1_500, 40, cached=0.6),), source=2,
    ),
    Feature(
        "reply-drafts", "Reply drafts", "support", 6.0, "office", _EVEN,
        (Step(((HAIKU, 0.7), (SONNET_46, 0.3)), 3_600, 340, cached=0.66, retrieval=1_700),),
    ),
    Feature(
        "help-centre-answers", "Help centre answers", "support", 6.0, "consumer", _CONSUMER,
        (Step(((LUNA, 0.6), (TERRA, 0.4)), 4_400, 240, cached=0.5, retrieval=3_100),),
        tags_team=False, from_cache=0.3,
    ),
    Feature(
        "lead-scoring", "Lead scoring", "sales", 2.0, "night", _ENTERPRISE,
        (Step(((MINI, 1.0),), 1_900, 60, cached=0.5),), source=2,
    ),
    Feature(
        "email-drafts", "E-mail drafts", "sales", 3.0, "office", _PAID,
        (Step(((SONNET_46, 0.5), (TERRA, 0.5)), 2_200, 380, cached=0.3),), tags_team=False, source=2,
    ),
    Feature(
        "call-notes", "Call notes", "sales", 2.0, "office", _ENTERPRISE,
        (Step(((LARGE_3, 0.6), (SONNET_46, 0.4)), 13_500, 780, cached=0.05, spread=0.6),), source=2,
    ),
    Feature(
        "catalogue-enrichment", "Catalogue enrichment", "data", 4.0, "night", _EVEN,
        (Step(((LARGE_4, 0.5), (LUNA, 0.5)), 1_700, 320, cached=0.4),), source=2,
    ),
    Feature(
        "index-refresh", "Index refresh", "data", 4.0, "night", _EVEN,
        (Step(((EMBED, 1.0),), 6_800, 0, spread=0.4),), tags_team=False, source=2,
    ),
    Feature(
        "report-builder", "Report builder", "data", 3.0, "office", _ENTERPRISE,
        (
            Step(((TERRA, 1.0),), 3_800, 420, "plan", cached=0.5, reasoning=0.4),
            Step(((SONNET, 1.0),), 7_500, 520, "query", cached=0.6, reasoning=0.2, tools=2.6),
            Step(((SONNET, 1.0),), 9_800, 1_400, "write", cached=0.55, reasoning=0.15),
        ),
        rounds=0.4, workflow="report-agent", source=1,
    ),
    Feature(
        "content-moderation", "Content moderation", "trust", 9.0, "consumer", _CONSUMER,
        (Step(((LUNA, 0.9), (HAIKU, 0.1)), 950, 22, cached=0.6),), errors=0.006,
    ),
    Feature(
        "fraud-review", "Fraud review", "trust", 2.0, "steady", _PAID,
        (
            Step(((MINI, 1.0),), 2_400, 90, "screen", cached=0.5),
            Step(((SOL, 1.0),), 5_600, 560, "explain", cached=0.4, reasoning=0.5, tools=0.9),
        ),
        workflow="fraud-agent", tags_team=False, source=1,
    ),
    Feature(
        "policy-check", "Policy check", "trust", 2.0, "steady", _EVEN,
        (Step(((HAIKU, 0.6), (LARGE_3, 0.4)), 2_900, 120, cached=0.6),), tags_team=False, source=2,
    ),
)
# fmt: on
FEATURE_INDEX = {feature.slug: index for index, feature in enumerate(FEATURES)}

_TRADES = ("Bank", "Foods", "Freight", "Health", "Hotels", "Insurance", "Labs", "Legal", "Media", "Motors")
_NAMES = ("Alder", "Birch", "Cedar", "Elm", "Hazel", "Juniper", "Linden", "Rowan")
# Whom the pro and enterprise tiers are sold to.
CUSTOMERS = tuple(f"{name}-{trade}".lower() for trade in _TRADES for name in _NAMES)
