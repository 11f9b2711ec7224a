"""Generates the demo company's calls as numpy columns: the same seed, the same calls, bit by bit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from finops.core.periods import midnight
from finops.demo import company
from finops.demo.story import LAUNCHED, REGRESSED, RUNAWAY, Story

Calls = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# One call. -1 is "not given"; -2 as a team is the name nobody registered.
CALL = np.dtype(
    [
        ("occurred_ms", "i8"), ("task", "i8"), ("session", "i8"), ("user", "i4"), ("customer", "i2"),
        ("source", "i1"), ("team", "i1"), ("feature", "i1"), ("tier", "i1"), ("environment", "i1"),
        ("model", "i1"), ("step", "i1"), ("prompt_version", "i2"), ("release", "i2"), ("day", "i2"),
        ("attempt", "i2"), ("status", "i1"), ("from_cache", "i1"),
        ("input", "i4"), ("cache_read", "i4"), ("cache_write", "i4"), ("cache_write_1h", "i4"),
        ("output", "i4"), ("reasoning", "i4"),
        ("duration_ms", "i4"), ("ttft_ms", "i4"), ("tool_calls", "i2"), ("retrieval", "i4"),
    ]
)  # fmt: skip
TOKENS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
STATUSES = ("success", "error", "timeout", "cancelled", "refused")
SUCCESS, ERROR, TIMEOUT, CANCELLED, REFUSED = range(len(STATUSES))
UNKNOWN_TEAM = -2
RELEASE_DAYS = 18
_RUNAWAY_TASKS = 3
# Shares of all calls that are no feature's ordinary traffic.
_EXPORT, _NOTEBOOKS, _PREVIEW, _RUNAWAY = 0.02, 0.006, 0.004, 0.008

_HOURS: dict[str, tuple[int, ...]] = {
    "consumer": (5, 3, 2, 2, 2, 4, 8, 14, 20, 24, 26, 28, 31, 30, 28, 27, 28, 31, 35, 39, 40, 33, 21, 11),
    "office": (1, 1, 1, 1, 1, 2, 5, 14, 33, 46, 50, 48, 35, 42, 49, 48, 42, 28, 14, 8, 5, 3, 2, 1),
    "morning": (1, 1, 1, 2, 9, 38, 64, 58, 34, 16, 8, 5, 4, 4, 3, 3, 3, 3, 3, 3, 2, 2, 1, 1),
    "night": (22, 46, 52, 44, 21, 6, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 9),
    "steady": (9, 8, 8, 8, 8, 8, 9, 10, 11, 12, 12, 12, 12, 12, 12, 12, 12, 12, 11, 11, 11, 10, 10, 9),
}
# Monday to Sunday.
_WEEK: dict[str, tuple[float, ...]] = {
    "consumer": (0.95, 0.93, 0.94, 0.97, 1.02, 1.14, 1.18),
    "office": (1.12, 1.16, 1.15, 1.1, 0.98, 0.16, 0.12),
    "morning": (1.1, 1.1, 1.1, 1.1, 1.05, 0.6, 0.55),
    "night": (1.0, 1.0, 1.0, 1.0, 1.0, 0.85, 0.85),
    "steady": (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
}


@dataclass(frozen=True, slots=True)
class Window:
    """The days to fill: where each starts and how long it is, in the reporting zone."""

    story: Story
    starts_ms: Ints  # one more than there are days: the last is the end
    weekdays: Ints

    @classmethod
    def of(cls, story: Story, zone: ZoneInfo) -> Window:
        starts = [_milliseconds(midnight(story.day(n), zone)) for n in range(story.days + 1)]
        weekdays = [story.day(n).weekday() for n in range(story.days)]
        return cls(story, np.array(starts, np.int64), np.array(weekdays, np.int64))


def generate(*, until: date, days: int, events: int, seed: int, zone: ZoneInfo) -> Calls:
    """Exactly ``events`` calls over the ``days`` reporting days before ``until``, in order of time."""
    window = Window.of(Story.before(until, days), zone)
    export, notebooks, preview, runaway = (
        round(events * share) for share in (_EXPORT, _NOTEBOOKS, _PREVIEW, _RUNAWAY)
    )
    quota = _split(events - export - notebooks - preview - runaway, [f.weight for f in company.FEATURES])
    users = 400 + events // 40
    parts = [
        _feature_calls(window, index, count, users, _random(seed, index)) for index, count in enumerate(quota)
    ]
    parts.append(_preview_calls(window, preview, users, _random(seed, 100)))
    parts.append(_runaway_calls(window, runaway, _random(seed, 101)))
    parts.append(_export_calls(window, export, _random(seed, 102)))
    parts.append(_notebook_calls(window, notebooks, _random(seed, 103)))
    for number, part in enumerate(parts):
        # Tasks and sessions are numbered within a part; make the numbers the company's own.
        for name in ("task", "session"):
            given = part[name] >= 0
            part[name][given] = part[name][given] * 64 + number
    calls = np.concatenate(parts)
    np.minimum(calls["occurred_ms"], window.starts_ms[-1] - 1, out=calls["occurred_ms"])
    return calls[np.argsort(calls["occurred_ms"], kind="stable")]


def _random(seed: int, part: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, part])))


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def _split(total: int, weights: list[float]) -> list[int]:
    """``total`` in whole parts proportional to ``weights``; every part at least one if it can be."""
    bounds = np.rint(np.cumsum(weights) / np.sum(weights) * total).astype(np.int64)
    return [int(part) for part in np.diff(bounds, prepend=0)]


def _feature_calls(window: Window, index: int, count: int, users: int, random: np.random.Generator) -> Calls:
    """The ordinary traffic of one feature: tasks over the window, each of one call or several."""
    feature = company.FEATURES[index]
    each = len(feature.steps) * (1 + feature.rounds)
    tasks = int(count / each * 1.2) + 20
    rounds = 1 + random.poisson(feature.rounds, tasks)
    tries = _tries(random, int((rounds * len(feature.steps)).sum()), feature.errors)
    task_of_turn = np.repeat(np.arange(tasks), rounds * len(feature.steps))
    turn_of_call = np.repeat(np.arange(len(tries)), tries)[:count]
    if len(turn_of_call) < count:
        raise AssertionError(f"{feature.slug}: too few tasks were drawn")  # 1.2 leaves ample room

    task = task_of_turn[turn_of_call]
    turn = (np.arange(len(tries)) - _first_of_each(task_of_turn))[turn_of_call]
    calls = np.zeros(count, CALL)
    calls["feature"], calls["task"], calls["source"] = index, task, feature.source
    calls["team"] = list(company.TEAMS).index(feature.team) if feature.tags_team else -1
    calls["step"] = turn % len(feature.steps)
    calls["attempt"] = np.arange(count) - _first_of_each(turn_of_call) + 1
    day, start = _moments(window, feature.rhythm, _launched(window, index), tasks, random)
    calls["day"] = day[task]
    _say_who(calls, task, feature, users, random)
    _say_which_version(calls, index, window)
    last_try = calls["attempt"] == tries[turn_of_call]
    for number, step in enumerate(feature.steps):
        here = np.flatnonzero(calls["step"] == number)
        _meter(calls, here, step, turn[here] // len(feature.steps), random)
    if index == REGRESSED:
        _regress(calls, window.story)
    _answer_from_cache(calls, feature.from_cache, random)
    _time(calls, random)
    _end(calls, last_try, random)
    calls["occurred_ms"] = start[task] + _elapsed(calls["duration_ms"], task, random)
    return calls


def _tries(random: np.random.Generator, turns: int, errors: float) -> Ints:
    """How often each turn is tried: again after a failure, at most three times."""
    drawn = random.random(turns)
    return 1 + (drawn < errors).astype(np.int64) + (drawn < errors * 0.22)


def _first_of_each(groups: Ints) -> Ints:
    """For each element of a sorted array of groups: the index at which its group begins."""
    begin: Ints = np.searchsorted(groups, groups, side="left")
    return begin.astype(np.int64)


def _launched(window: Window, index: int) -> Floats:
    """How popular a feature is on each day: growth, and nothing before its launch."""
    share = np.arange(window.story.days) / max(1, window.story.days)
    growth = 1 + 0.55 * share + 0.1 * np.sin(share * 9 + index)
    if index == LAUNCHED:
        since = np.arange(window.story.days) - window.story.launch
        growth = np.where(since < 0, 0.0, 1 - 0.85 * np.exp(-since / max(1.0, window.story.days / 12)))
    return growth


def _moments(
    window: Window, rhythm: str, popularity: Floats, count: int, random: np.random.Generator
) -> tuple[Ints, Ints]:
    """For each task the day it falls on and the instant it starts."""
    day = _draw(popularity * np.array(_WEEK[rhythm])[window.weekdays], count, random)
    hour = _draw(np.array(_HOURS[rhythm], float), count, random) + random.random(count)
    length = np.diff(window.starts_ms)
    return day, window.starts_ms[day] + (hour / 24 * length[day]).astype(np.int64)


def _draw(weights: Floats, count: int, random: np.random.Generator) -> Ints:
    """Indices drawn with the given weights."""
    bounds = np.cumsum(weights)
    drawn: Ints = np.searchsorted(bounds, random.random(count) * bounds[-1], side="right")
    return drawn.astype(np.int64)


def _zipf(size: int, count: int, random: np.random.Generator) -> Ints:
    """Ranks from 0 on, the first by far the most frequent."""
    return _draw(1 / np.arange(3, size + 3) ** 0.85, count, random)


def _say_who(
    calls: Calls, task: Ints, feature: company.Feature, users: int, random: np.random.Generator
) -> None:
    """Tier, person, customer, session and environment, the same for all calls of a task."""
    tasks = int(task[-1]) + 1 if len(task) else 0
    tier = _draw(np.array(feature.tiers), tasks, random)
    user = _zipf(users, tasks, random) * len(company.TIERS) + tier
    # A person belongs to one customer for ever, so it follows from the number.
    customer = (user * 2_654_435_761 % 4_294_967_296 / 4_294_967_296) ** 2.2 * len(company.CUSTOMERS)
    customer = np.where(tier == 0, -1, customer.astype(np.int64))
    staging = random.random(tasks) < 0.05
    calls["tier"], calls["environment"] = tier[task], staging[task]
    calls["user"] = np.where(staging, -1, user)[task]
    calls["customer"] = np.where(staging, -1, customer)[task]
    calls["session"] = user[task] * 512 + calls["day"]


def _say_which_version(calls: Calls, index: int, window: Window) -> None:
    """Prompts change once in the window, on a day of the feature's own; releases go out by train."""
    first, changed = 2 + index % 5, (index * 37 + 11) % 100 * window.story.days // 100
    if index == REGRESSED:
        first, changed = 7, window.story.regression
    calls["prompt_version"] = first + (calls["day"] >= changed)
    calls["release"] = calls["day"] // RELEASE_DAYS


def _meter(calls: Calls, here: Ints, step: company.Step, rounds: Ints, random: np.random.Generator) -> None:
    """The model and the tokens of the calls at ``here``; a conversation's prompt grows by the round."""
    count = len(here)
    model = np.array([number for number, _ in step.models])[
        _draw(np.array([share for _, share in step.models]), count, random)
    ]
    grown = step.input * (1 + 0.3 * np.minimum(rounds, 12))
    prompt = np.minimum(random.lognormal(0, step.spread, count) * grown, 380_000).astype(np.int64) + 8
    answer = (random.lognormal(0, step.spread, count) * step.output).astype(np.int64)
    same = (prompt * step.cached * random.uniform(0.7, 1.15, count)).astype(np.int64)
    hit = random.random(count) < 0.82
    writes = np.array([m.writes_cache for m in company.MODELS])[model]
    reasons = np.array([m.reasons for m in company.MODELS])[model]
    calls["model"][here] = model
    calls["input"][here] = prompt
    calls["cache_read"][here] = np.where(hit, same, 0)
    calls["cache_write"][here] = np.where(~hit & writes, same, 0)
    calls["cache_write_1h"][here] = np.where(~hit & (model == company.OPUS), same // 3, 0)
    calls["output"][here] = answer
    thought = answer * step.reasoning * random.uniform(0.4, 1.4, count)
    calls["reasoning"][here] = np.where(reasons, np.minimum(thought, answer), 0).astype(np.int64)
    calls["tool_calls"][here] = random.poisson(step.tools, count)
    if step.retrieval:
        found = (random.lognormal(0, 0.4, count) * step.retrieval).astype(np.int64)
        calls["retrieval"][here] = np.minimum(found, prompt)
    else:
        calls["retrieval"][here] = -1


def _regress(calls: Calls, story: Story) -> None:
    """The new prompt repeats the whole history: longer, and different in every call."""
    late = calls["day"] >= story.regression
    calls["input"][late] = calls["input"][late] * 5 // 2
    for name in ("cache_read", "cache_write", "cache_write_1h"):
        calls[name][late] //= 5


def _answer_from_cache(calls: Calls, share: float, random: np.random.Generator) -> None:
    """Some answers come from the application's own cache: they cost nothing."""
    if share:
        hit = (random.random(len(calls)) < share) & (calls["attempt"] == 1)
        calls["from_cache"] = np.where(hit, 1, 2)


def _time(calls: Calls, random: np.random.Generator) -> None:
    """Time to the first token and in all, lognormal around the model's speed."""
    count = len(calls)
    first = np.array([m.ttft_ms for m in company.MODELS])[calls["model"]] + calls["input"] * 0.012
    first *= random.lognormal(0, 0.4, count)
    speed = np.array([m.tokens_a_second for m in company.MODELS])[calls["model"]]
    rest = calls["output"] * 1000 / speed * random.lognormal(0, 0.22, count)
    quick = calls["from_cache"] == 1
    calls["ttft_ms"] = np.where(quick, 4, first).astype(np.int64)
    calls["duration_ms"] = np.where(quick, 9, first + rest).astype(np.int64) + 1


def _end(calls: Calls, last_try: npt.NDArray[np.bool_], random: np.random.Generator) -> None:
    """How each call ended. A refused connection used nothing; a timeout was paid for in part."""
    drawn = random.random(len(calls))
    status = np.where(drawn < 0.003, ERROR, np.where(drawn < 0.0055, CANCELLED, SUCCESS))
    status = np.where((drawn >= 0.0055) & (drawn < 0.0065), REFUSED, status)
    status = np.where(last_try, status, np.where(drawn < 0.65, ERROR, TIMEOUT))
    status = np.where(calls["from_cache"] == 1, SUCCESS, status)
    calls["status"] = status
    failed = status == ERROR
    for name in (*TOKENS, "tool_calls"):
        calls[name][failed] = 0
    calls["ttft_ms"][failed] = -1
    calls["retrieval"][failed] = np.minimum(calls["retrieval"][failed], 0)
    late = status == TIMEOUT
    calls["output"][late] //= 2
    calls["reasoning"][late] //= 2
    calls["duration_ms"][late] = 60_000


def _elapsed(duration_ms: npt.NDArray[np.int32], task: Ints, random: np.random.Generator) -> Ints:
    """From a task's start to the start of each of its calls, one after another with a pause."""
    taken = duration_ms.astype(np.int64) + random.exponential(2_500, len(task)).astype(np.int64)
    before = np.cumsum(taken) - taken
    return before - before[_first_of_each(task)]


def _preview_calls(window: Window, count: int, users: int, random: np.random.Generator) -> Calls:
    """A trial of a model that no price list knows yet, in the last third of the window."""
    index = company.FEATURE_INDEX["policy-check"]
    calls = _feature_calls(window, index, count, users, random)
    calls["model"] = company.PREVIEW
    day = window.story.days * 2 // 3 + calls["day"] // 3
    calls["occurred_ms"] += window.starts_ms[day] - window.starts_ms[calls["day"]]
    calls["day"], calls["session"] = day, -1
    calls["cache_write"] = calls["cache_write_1h"] = 0
    _say_which_version(calls, index, window)
    return calls


def _runaway_calls(window: Window, count: int, random: np.random.Generator) -> Calls:
    """An agent that never finds its answer: three tasks, hundreds of steps, ever longer prompts."""
    feature = company.FEATURES[RUNAWAY]
    calls = np.zeros(count, CALL)
    calls["feature"], calls["source"], calls["day"] = RUNAWAY, feature.source, window.story.runaway
    calls["team"] = list(company.TEAMS).index(feature.team)
    calls["tier"], calls["user"], calls["session"] = 2, -1, -1
    number = np.arange(count)
    calls["task"] = number % _RUNAWAY_TASKS
    turn = number // _RUNAWAY_TASKS
    calls["customer"] = calls["task"]
    calls["step"] = turn % len(feature.steps)
    calls["attempt"] = 1 + turn % 4 * (turn % 3 == 1)
    _say_which_version(calls, RUNAWAY, window)
    for step_number, step in enumerate(feature.steps):
        here = np.flatnonzero(calls["step"] == step_number)
        _meter(calls, here, step, turn[here] * 40 // max(1, count // _RUNAWAY_TASKS), random)
    calls["tool_calls"] = random.poisson(4.5, count)
    _time(calls, random)
    _end(calls, np.ones(count, bool), random)
    start, length = window.starts_ms[window.story.runaway] + 80 * 60_000, 390 * 60_000
    calls["occurred_ms"] = start + number * length // max(1, count)
    return calls


def _export_calls(window: Window, count: int, random: np.random.Generator) -> Calls:
    """A batch job that says neither team nor feature."""
    calls = _bare_calls(window, count, company.SOURCES.index("nightly-export"), "night", random)
    step = company.Step(((company.LUNA, 0.7), (company.MINI, 0.3)), 5_200, 380, cached=0.2)
    return _metered(calls, step, random)


def _notebook_calls(window: Window, count: int, random: np.random.Generator) -> Calls:
    """Experiments under the name of a team that nobody registered."""
    calls = _bare_calls(window, count, company.SOURCES.index("notebooks"), "office", random)
    calls["team"] = UNKNOWN_TEAM
    step = company.Step(((company.SOL, 0.5), (company.OPUS, 0.5)), 6_500, 900, cached=0.1, reasoning=0.4)
    return _metered(calls, step, random)


def _bare_calls(window: Window, count: int, source: int, rhythm: str, random: np.random.Generator) -> Calls:
    calls = np.zeros(count, CALL)
    calls["source"] = source
    for name in ("team", "feature", "tier", "user", "customer", "task", "session", "step"):
        calls[name] = -1
    for name in ("prompt_version", "release"):
        calls[name] = -1
    calls["attempt"] = 1
    calls["day"], calls["occurred_ms"] = _moments(window, rhythm, np.ones(window.story.days), count, random)
    return calls


def _metered(calls: Calls, step: company.Step, random: np.random.Generator) -> Calls:
    _meter(calls, np.arange(len(calls)), step, np.zeros(len(calls), np.int64), random)
    _time(calls, random)
    _end(calls, np.ones(len(calls), bool), random)
    return calls
