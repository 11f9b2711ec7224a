"""What commitments, volume bands, credits and taxes make of booked usage: the rows of ``charge``.

Read ``deriving`` first: when it is done, over which days, and in which order. Then ``lines`` (usage that
terms speak of), ``volumes``, ``covering`` and ``levying`` (the steps), ``booking`` (what of it is written),
``reading``.
"""

from attribution.charging.deriving import Derived, derive

__all__ = ["Derived", "derive"]
