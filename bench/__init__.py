"""The benchmarks: ``python -m bench`` (or ``make bench``); docs/performance.md explains each figure."""
