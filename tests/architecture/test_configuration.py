"""Every variable that is read is documented, and every one documented is read."""

from __future__ import annotations

import ast
import re

from tests.instances import ROOT

READERS = {"text", "address", "flag", "whole", "choice", "words", "zone", "currency", "database"}
ROW = re.compile(r"(?m)^\| `([A-Z][A-Z0-9_]+)`")


def _read() -> set[str]:
    """Names given to finops.env in the settings."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / "finops/settings.py").read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        owner, name = node.func.value, node.args[0]
        if not (isinstance(owner, ast.Name) and owner.id == "env" and node.func.attr in READERS):
            continue
        assert isinstance(name, ast.Constant), f"line {node.lineno}: name the variable where it is read"
        names.add(str(name.value))
    return names


def test_the_table_of_variables_is_complete() -> None:
    documented = ROW.findall((ROOT / "docs/configuration.md").read_text())

    assert sorted(documented) == sorted(set(documented)), "a variable is listed twice"
    assert set(documented) == _read()


def test_no_other_module_reads_the_environment_for_settings() -> None:
    """Below finops.embedded the environment is passed on; finops/client runs in other services; everywhere
    else settings are asked."""
    reading = re.compile(r"os\.environ\b|os\.getenv\b")
    allowed = {
        "finops/env.py",
        "finops/celery.py",
        "finops/wsgi.py",
        "finops/running.py",
        "finops/metrics.py",
    }
    packages = ("finops", "pricing", "gpu_pool", "attribution", "budgets", "alerts")
    found = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if reading.search(path.read_text())
    }

    elsewhere = ("finops/embedded/", "finops/client/")
    assert {name for name in found - allowed if not name.startswith(elsewhere)} == set()
