"""The package installs from the tree, typed and without anything of the server."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.instances import ROOT

PACKAGE = ROOT / "finops" / "client"


def test_it_imports_the_standard_library_and_itself_alone() -> None:
    imported = set()
    for path in (PACKAGE / "finops_client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).split(".")[0])

    # typing_extensions is looked at by type checkers only, which bring it along.
    assert imported - sys.stdlib_module_names == {"finops_client", "typing_extensions"}


def test_pip_installs_it(tmp_path: Path) -> None:
    tree = shutil.copytree(PACKAGE, tmp_path / "client", ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / "installed"

    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "-q"]
    installed = subprocess.run(
        [*pip, "--no-deps", "--target", str(target), str(tree)],
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )

    if "No matching distribution found for flit_core" in installed.stderr:
        pytest.skip("the build backend is out of reach")
    assert installed.returncode == 0, installed.stderr
    assert (target / "finops_client" / "py.typed").exists()
    # No site packages but what was installed: neither Django nor zstandard.
    said = subprocess.run(
        [sys.executable, "-S", "-c", "import finops_client; print(finops_client.__version__)"],
        cwd=target,
        text=True,
        capture_output=True,
        check=True,
    )
    assert said.stdout == "0.1.0\n"
