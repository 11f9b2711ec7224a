"""What every committed file keeps to."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.instances import ROOT

LONGEST = 400
VAGUE = {"services.py", "selectors.py", "utils.py", "helpers.py", "managers.py", "common.py", "misc.py"}
# Whoever installs chooses where packages come from. Written so that this file does not name one.
REGISTRIES = re.compile(r"\b(pypi|pythonhosted|npmjs|yarnpkg|unpkg|jsdelivr|cdnjs)\.(org|com|net)\b")


def committed() -> list[Path]:
    """Files under version control that exist; skipped where this is not a checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def own_code() -> list[Path]:
    """Python that is written by hand."""
    return [path for path in committed() if path.suffix == ".py" and "migrations" not in path.parts]


def _named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_files_can_be_read_in_one_sitting() -> None:
    assert _named([path for path in own_code() if len(path.read_text().splitlines()) >= LONGEST]) == []


def test_modules_are_named_for_what_they_do() -> None:
    assert _named([path for path in own_code() if path.name in VAGUE]) == []


def test_every_module_says_what_it_holds() -> None:
    silent = [
        path
        for path in own_code()
        if (source := path.read_text()).strip() and ast.get_docstring(ast.parse(source)) is None
    ]

    assert _named(silent) == []


def test_no_file_names_a_package_registry() -> None:
    naming = []
    for path in committed():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        # Vendored code keeps the words of its authors.
        if "vendor" not in path.parts and REGISTRIES.search(text):
            naming.append(path)

    assert _named(naming) == []


def test_every_locked_dependency_has_a_hash() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-snippets.txt"):
        pinned = re.split(r"(?m)^(?=[a-z])", (ROOT / name).read_text())[1:]

        assert [entry.split("==")[0] for entry in pinned if "--hash=sha256:" not in entry] == []


def test_shell_and_make_files_parse() -> None:
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)
    subprocess.run(["make", "-n", "install", "PYTHON=python3"], cwd=ROOT, check=True, capture_output=True)
