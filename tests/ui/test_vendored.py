"""The committed libraries are exactly what their table records."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from finops.ui.vendored import README, read_tables


def test_every_vendored_file_is_as_recorded() -> None:
    out = io.StringIO()

    call_command("vendor_static", "--check", stdout=out)

    assert "as recorded" in out.getvalue()


def test_every_package_has_its_licence_committed() -> None:
    packages, files = read_tables(Path(settings.BASE_DIR))

    licensed = {Path(file.path).parent.name for file in files if file.origin == "LICENSE"}

    assert licensed == {package.folder for package in packages}


def test_a_changed_missing_or_unlisted_file_is_named(tmp_path: Path, settings: pytest.FixtureRequest) -> None:
    root = Path(settings.BASE_DIR)  # type: ignore[attr-defined]
    _, files = read_tables(root)
    for file in files:
        (tmp_path / file.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.path).write_bytes((root / file.path).read_bytes())
    (tmp_path / README).write_text((root / README).read_text())
    changed, missing = tmp_path / files[0].path, tmp_path / files[1].path
    changed.write_text("other")
    missing.unlink()
    changed.with_name("stranger.js").write_text("")
    settings.BASE_DIR = tmp_path  # type: ignore[attr-defined]

    with pytest.raises(CommandError) as refusal:
        call_command("vendor_static", "--check")

    lines = str(refusal.value).splitlines()
    assert len(lines) == 3
    assert files[0].path in lines[0]
    assert "is missing" in lines[1]
    assert "stranger.js is in no table" in lines[2]
