"""What happens to the demo company during its days: the events a person should be able to find."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from finops.demo import company


@dataclass(frozen=True, slots=True)
class Story:
    """The days (counted from the window's first) on which things happen.

    All are shares of the window, so that a week of demo data tells the same story as a quarter.
    Only the price change has a date of its own, that of the provider: it is there if the window
    holds it (``mistral-large-4`` doubled on 2026-10-20 and halved on 2026-10-29).
    """

    first: date
    days: int

    @classmethod
    def before(cls, until: date, days: int) -> Story:
        """The story of the ``days`` days that end just before ``until``."""
        return cls(until - timedelta(days=days), days)

    @property
    def until(self) -> date:
        return self.first + timedelta(days=self.days)

    @property
    def launch(self) -> int:
        """``trip-planner`` goes live."""
        return self.days * 55 // 100

    @property
    def ownership_move(self) -> int:
        """``translation`` moves from documents to assistant."""
        return self.days * 66 // 100

    @property
    def regression(self) -> int:
        """``reply-drafts`` gets prompt v8, which is two and a half times as long and caches badly."""
        return self.days * 74 // 100

    @property
    def runaway(self) -> int:
        """``report-agent`` loops from 01:20 to 07:50."""
        return self.days * 87 // 100

    def day(self, number: int) -> date:
        return self.first + timedelta(days=number)

    def lines(self) -> list[tuple[date, str]]:
        """What to look for and when, in order."""
        return sorted(
            [
                (self.day(self.launch), "Launch: trip-planner goes live"),
                (self.day(self.ownership_move), "Move: translation goes from documents to assistant"),
                (self.day(self.regression), "Regression: reply-drafts gets prompt v8, 2.5 times as long"),
                (self.day(self.runaway), "Runaway agent: report-agent loops for six hours"),
            ]
        )


LAUNCHED = company.FEATURE_INDEX["trip-planner"]
REGRESSED = company.FEATURE_INDEX["reply-drafts"]
RUNAWAY = company.FEATURE_INDEX["report-builder"]
MOVED = ("translation", "documents", "assistant")
