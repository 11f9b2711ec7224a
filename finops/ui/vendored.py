"""The libraries committed under ``static/vendor``: what is there, read from its README's tables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

README = Path("static/vendor/README.md")


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package at one version; ``integrity`` is what npm calls by that name."""

    name: str
    version: str
    integrity: str
    licence: str
    why: str

    @property
    def pinned(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.version}"


@dataclass(frozen=True, slots=True)
class VendoredFile:
    """One committed file: its path from the project's root, its source, its SHA-256.

    ``origin`` is the path inside the package's tarball, or "" for a file of our own making.
    """

    path: str
    origin: str
    sha256: str

    def problem(self, root: Path) -> str:
        """What is wrong with the committed file, or ""; reads the file."""
        try:
            content = (root / self.path).read_bytes()
        except OSError:
            return f"{self.path} is missing"
        found = hashlib.sha256(content).hexdigest()
        return "" if found == self.sha256 else f"{self.path} has SHA-256 {found}, expected {self.sha256}"


def read_tables(root: Path) -> tuple[list[Package], list[VendoredFile]]:
    """The two tables of the README, in its order."""
    rows = [
        [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        for line in (root / README).read_text().splitlines()
        if line.startswith("|") and not line.startswith("|-")
    ]
    packages = [Package(*row) for row in rows if len(row) == 5 and row[0] != "name"]
    files = [VendoredFile(*row) for row in rows if len(row) == 3 and row[0] != "file"]
    return packages, files


def unlisted(root: Path, packages: list[Package], files: list[VendoredFile]) -> list[str]:
    """Files beside the listed ones that no table mentions."""
    listed = {file.path for file in files}
    folders = {Path(path).parent for path in listed}
    found = {str(path.relative_to(root)) for folder in folders for path in (root / folder).glob("*")}
    known = {package.folder for package in packages}
    strangers = {
        str(path.relative_to(root))
        for path in (root / README).parent.iterdir()
        if path.is_dir() and path.name not in known
    }
    return sorted((found - listed) | strangers)
