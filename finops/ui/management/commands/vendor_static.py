"""``manage.py vendor_static``: brings the vendored libraries, or checks what is committed."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from finops.ui.vendored import Package, VendoredFile, read_tables, unlisted


class Command(BaseCommand):
    help = "Fetches the libraries of static/vendor/README.md with npm, or checks them without a network."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="compare files with their SHA-256 sums")

    def handle(self, *args: Any, **options: Any) -> None:
        root = Path(settings.BASE_DIR)
        packages, files = read_tables(root)
        if not options["check"]:
            for package in packages:
                _fetch(package, [file for file in files if f"/{package.folder}/" in file.path], root)
                self.stdout.write(f"{package.pinned}: fetched")
        problems = [text for file in files if (text := file.problem(root))]
        problems += [f"{path} is in no table" for path in unlisted(root, packages, files)]
        if problems:
            raise CommandError("\n".join(problems))
        self.stdout.write(f"{len(files)} vendored files are as recorded")


def _fetch(package: Package, files: list[VendoredFile], root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, package.pinned]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        tarball = next(Path(folder).glob("*.tgz"))
        digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != package.integrity:
            raise CommandError(f"{package.pinned}: integrity sha512-{digest} is not the recorded one")
        with tarfile.open(tarball) as archive:
            for file in files:
                if file.origin:
                    _copy(archive, file, root)


def _copy(archive: tarfile.TarFile, file: VendoredFile, root: Path) -> None:
    member = archive.extractfile(f"package/{file.origin}")
    if member is None:
        raise CommandError(f"{file.origin} is not in its package")
    target = root / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(member.read())
