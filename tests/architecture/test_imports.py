"""Imports run downwards only; the contracts are in pyproject.toml."""

from __future__ import annotations

from importlinter.cli import lint_imports

from tests.instances import ROOT


def test_imports_keep_their_contracts() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0
