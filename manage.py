#!/usr/bin/env python
"""Entry point of every command: chooses the instance, brings up its engines, runs Django."""

from __future__ import annotations

import sys

from finops.embedded.command import run

if __name__ == "__main__":
    sys.exit(run(sys.argv))
