"""Every command brings a database of its own where none is running, and takes it away again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finops.embedded.command import _needs_database, _take_data_dir
from finops.embedded.layout import EngineError
from tests.instances import ROOT, environment, manage, processes_of


def test_the_data_directory_is_taken_from_anywhere_on_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/elsewhere")

    rest = _take_data_dir(["manage.py", "migrate", "--data-dir", "/some/where", "--plan"])

    assert rest == ["manage.py", "migrate", "--plan"]
    assert os.environ["DATA_DIR"] == "/some/where"


def test_the_data_directory_may_follow_an_equals_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/elsewhere")

    assert _take_data_dir(["manage.py", "--data-dir=/x", "check"]) == ["manage.py", "check"]
    assert os.environ["DATA_DIR"] == "/x"


def test_a_data_directory_without_a_name_is_refused() -> None:
    with pytest.raises(EngineError, match="--data-dir needs a directory"):
        _take_data_dir(["manage.py", "check", "--data-dir"])


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (["migrate"], True),
        (["demo", "--days", "3"], True),
        (["migrate", "--help"], False),
        (["check", "--deploy"], False),
        (["makemigrations", "--check"], False),
        (["collectstatic"], False),
        (["help", "migrate"], False),
        (["--version"], False),
        ([], False),
    ],
)
def test_only_commands_that_need_a_database_start_one(words: list[str], needed: bool) -> None:
    assert _needs_database(["manage.py", *words]) is needed


def test_two_commands_at_once_share_a_server_that_ends_with_the_last(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert manage("migrate", "accounts", "zero", "--plan", data_dir=data).returncode == 0
    words = [sys.executable, "manage.py", "migrate", "contenttypes", "--data-dir", str(data)]

    both = [subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL) for _ in range(2)]
    first = [process.wait(60) for process in both]

    # Django itself does not expect two migrations at once; that both had a database is the point.
    assert 0 in first
    shown = manage("showmigrations", "contenttypes", data_dir=data)
    assert "[X] 0002" in shown.stdout
    assert processes_of(data) == []
