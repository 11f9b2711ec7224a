"""Imports run downwards only; the contracts are in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

from tests.instances import ROOT

_LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def test_imports_keep_their_contracts() -> None:
    # In a process of its own: the linter switches off every logger it finds.
    linted = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as run; run()",
            "--no-cache",
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr
