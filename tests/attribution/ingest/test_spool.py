"""The files of the spool: what was acknowledged is in them, whatever happened to the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.ingest import spool_files
from attribution.ingest.intake import Sender
from attribution.ingest.spool import Spool, SpoolFull
from attribution.ingest.spool_files import Record, decode, encode, segments, split
from tests.instances import ROOT

SENDER = Sender("app", "key", "search", is_bound_to_source=True)
ROOM = 1 << 30


def record(number: int, payload: bytes = b"said") -> Record:
    return Record(f"{number:032x}", number, "events", 3, SENDER, payload)


def fill(spool: Spool, size: int) -> tuple[int, SpoolFull]:
    """Append records of that size until one is refused; how many were taken, and the refusal."""
    for taken in range(1000):
        try:
            spool.append("events", SENDER, os.urandom(size), 1)
        except SpoolFull as error:
            return taken, error
    raise AssertionError("it was never full")


def payloads(directory: Path) -> list[bytes]:
    return [decode(body).payload for found in segments(directory) for body in spool_files.read(found)]


def test_records_come_back_in_order_as_they_were_given(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ROOM)
    for number in range(5):
        spool.append("events", SENDER, b"%d" % number, number)
    (found,) = segments(tmp_path)
    read = [decode(body) for body in spool_files.read(found)]
    assert [(each.payload, each.count, each.sender, each.kind) for each in read] == [
        (b"%d" % number, number, SENDER, "events") for number in range(5)
    ]
    assert [each.at_us for each in read] == sorted(each.at_us for each in read)
    assert len({each.id for each in read}) == 5
    assert found.path.stat().st_mode & 0o777 == 0o600


def test_many_threads_share_one_segment_and_each_record_is_there_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ROOM)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: spool.append("events", SENDER, b"%d" % n, 1), range(400)))
    assert len(segments(tmp_path)) == 1
    assert sorted(map(int, payloads(tmp_path))) == list(range(400))


def test_a_segment_has_ended_when_it_is_sealed_or_its_process_is_gone(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ROOM)
    spool.append("events", SENDER, b"1", 1)
    (first,) = segments(tmp_path)
    assert not spool_files.is_ended(first.path)
    spool.seal()
    assert spool_files.is_ended(first.path)
    spool.append("events", SENDER, b"2", 1)
    assert len(segments(tmp_path)) == 2
    assert payloads(tmp_path) == [b"1", b"2"]


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ROOM)
    for _ in range(5):
        spool.append("events", SENDER, os.urandom(6 << 20), 1)
    found = segments(tmp_path)
    assert [each.bytes >> 20 for each in found] == [18, 12]
    assert spool_files.is_ended(found[0].path)


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=6), st.data())
def test_a_torn_end_costs_the_torn_record_only(said: list[bytes], data: st.DataObject) -> None:
    records = [record(number, payload) for number, payload in enumerate(said)]
    parts = [encode(each) for each in records]
    whole = b"".join(parts)
    cut = data.draw(st.integers(0, len(whole)))
    found, is_damaged = split(whole[:cut])
    complete = 0
    while complete < len(parts) and len(b"".join(parts[: complete + 1])) <= cut:
        complete += 1
    assert ([decode(body) for body in found], is_damaged) == (records[:complete], False)


@given(st.lists(st.binary(max_size=80), min_size=3, max_size=6), st.data())
def test_a_damaged_byte_costs_one_record_and_is_noticed(said: list[bytes], data: st.DataObject) -> None:
    records = [record(number, payload) for number, payload in enumerate(said)]
    parts = [encode(each) for each in records]
    hit = data.draw(st.integers(0, len(parts) - 2))
    place = sum(map(len, parts[:hit])) + data.draw(st.integers(0, len(parts[hit]) - 1))
    whole = bytearray(b"".join(parts))
    whole[place] ^= data.draw(st.integers(1, 255))
    found, is_damaged = split(bytes(whole))
    assert [decode(body) for body in found] == records[:hit] + records[hit + 1 :]
    assert is_damaged


def test_a_damaged_segment_is_kept_aside(tmp_path: Path) -> None:
    parts = [encode(record(number)) for number in range(3)]
    path = tmp_path / f"{1:020d}-writer{spool_files.SEGMENT}"
    path.write_bytes(parts[0] + b"?" + parts[1][1:] + parts[2])
    (found,) = segments(tmp_path)
    assert [decode(body).at_us for body in spool_files.read(found)] == [0, 2]
    (kept,) = (tmp_path / spool_files.SET_ASIDE).iterdir()
    assert kept.read_bytes() == path.read_bytes()


def test_beyond_the_bound_nothing_is_taken_and_what_was_stays(tmp_path: Path) -> None:
    taken, refused = fill(Spool(tmp_path, 10_000), 1000)
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert 5 < taken < 10
    assert len(payloads(tmp_path)) == taken
    assert sum(each.bytes for each in segments(tmp_path)) <= 10_000


def test_the_bound_holds_over_all_processes(tmp_path: Path) -> None:
    one, other = Spool(tmp_path, 10_000), Spool(tmp_path, 10_000)
    one.append("events", SENDER, os.urandom(6000), 1)
    with pytest.raises(SpoolFull):
        other.append("events", SENDER, os.urandom(6000), 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("may not mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_takes_nothing_and_loses_nothing(small_disk: Path) -> None:
    spool = Spool(small_disk / "spool", ROOM)
    taken, refused = fill(spool, 30_000)
    assert "the disk is full" in refused.detail
    # Somebody else takes the rest: the smallest record is refused too, and all others stay.
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    with pytest.raises(SpoolFull):
        spool.append("events", SENDER, b"small", 1)
    assert len(payloads(small_disk / "spool")) == taken

    (small_disk / "filler").unlink()
    segments(small_disk / "spool")[0].path.unlink()
    spool.seal()
    spool.append("events", SENDER, b"room again", 1)
    spool.seal()
    assert payloads(small_disk / "spool") == [b"room again"]


_LIMITED = """
import django, os, resource, signal, sys
django.setup()
from pathlib import Path
from attribution.ingest.intake import Sender
from attribution.ingest.spool import Spool, SpoolFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]), 1 << 30)
spool.append("events", Sender("app"), b"first", 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    spool.append("events", Sender("app"), os.urandom(80_000), 1)
except SpoolFull as error:
    print(error.detail)
spool.append("events", Sender("app"), b"second", 1)
"""


def test_a_record_that_cannot_be_written_to_its_end_leaves_no_trace(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "finops.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be written (File too large)" in done.stdout
    (found,) = segments(tmp_path)
    assert found.bytes < 1000
    assert payloads(tmp_path) == [b"first", b"second"]


def test_a_record_that_another_version_wrote_is_no_stranger_that_stops_the_rest() -> None:
    unreadable = decode(b"something else")
    assert (unreadable.kind, unreadable.payload) == ("", b"something else")
