"""With a directory, what cannot be sent survives the process, and is sent once by whoever comes next."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from finops_client import Client, Drop
from finops_client.records import Batch, Lane, Record
from finops_client.spool import Spool

from tests.client.conftest import QUICK, MakeClient, record
from tests.client.recording import Server, answer, cut
from tests.instances import eventually, free_port


def nobody_there(directory: Path) -> Client:
    """A client of a server that does not exist."""
    return Client(
        f"http://127.0.0.1:{free_port()}", "fk_test", settings=replace(QUICK, spool_dir=str(directory))
    )


def test_what_is_left_at_the_end_is_sent_by_the_next_start(
    server: Server, make_client: MakeClient, tmp_path: Path
) -> None:
    first = nobody_there(tmp_path)
    ids = record(first, 700)
    first.outcome("t-1", "success")
    assert first.close(1)

    second = make_client(spool_dir=tmp_path)

    assert eventually(lambda: len(server.stored) == 701, 10)
    assert sorted(server.stored) == sorted([*ids, "t-1"])
    assert eventually(lambda: list(tmp_path.iterdir()) == [], 5)
    assert first.stats.lost == second.stats.lost == 0
    assert second.stats.accepted == 701


def test_an_outage_longer_than_the_queue_loses_nothing(
    server: Server, make_client: MakeClient, tmp_path: Path
) -> None:
    client = make_client(spool_dir=tmp_path, queue_size=50, batch_size=10)
    server.always = cut

    ids = []
    for _ in range(20):
        ids += record(client, 20)
        assert eventually(lambda: client.stats.waiting < 20, 5)
    server.always = server.store

    assert eventually(lambda: len(server.stored) == 400, 20)
    assert sorted(server.stored) == sorted(ids)
    assert client.stats.lost == 0


def test_flush_is_content_with_the_disk(tmp_path: Path) -> None:
    client = nobody_there(tmp_path)

    record(client, 5)

    assert client.flush(5)
    assert client.stats.waiting == 0
    assert len(list(tmp_path.glob("*.batch"))) == 1
    client.close(0.2)


def test_a_full_spool_leaves_the_queue_to_bear_it(
    server: Server, make_client: MakeClient, tmp_path: Path
) -> None:
    client = make_client(spool_dir=tmp_path, spool_bytes=0)
    server.plan.extend([cut] * 5)

    ids = record(client, 30)
    assert client.flush()

    assert sorted(server.stored) == sorted(ids)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_too_large_on_disk_is_cut_as_well(
    server: Server, make_client: MakeClient, tmp_path: Path
) -> None:
    client = make_client(spool_dir=tmp_path)
    server.plan.append(cut)
    server.always = lambda one: answer(413)(one) if len(one.ids) > 7 else server.store(one)

    ids = record(client, 20)

    assert eventually(lambda: len(server.stored) == 20, 10)
    assert sorted(server.stored) == sorted(ids)
    assert eventually(lambda: list(tmp_path.iterdir()) == [], 5)


def test_an_event_on_disk_that_breaks_the_server_is_found_and_given_up(
    server: Server, make_client: MakeClient, tmp_path: Path
) -> None:
    first = nobody_there(tmp_path)
    record(first, 3)
    record(first, event_id="poison")
    first.close(1)
    server.always = lambda one: answer(500)(one) if "poison" in one.ids else server.store(one)

    drops: list[Drop] = []
    client = make_client(spool_dir=tmp_path, on_drop=drops.append)
    # Others that pass are what tells an event at fault from a server at fault.
    assert eventually(lambda: record(client) != [] and drops != [], 20)

    assert drops == [Drop("refused", ("poison",))]
    # What is on disk is safe, which is all that a flush promises; it is sent a little later.
    assert client.flush()
    assert eventually(lambda: len(server.stored) == client.stats.recorded + 3, 20)
    assert eventually(lambda: list(tmp_path.iterdir()) == [], 5)


def batch(*names: str) -> Batch:
    return Batch(
        Lane.EVENTS, [Record(Lane.EVENTS, name, b'{"event_id":"%s"}' % name.encode()) for name in names]
    )


def test_two_processes_do_not_send_the_same_file(tmp_path: Path) -> None:
    one, other = Spool(tmp_path, 10_000), Spool(tmp_path, 10_000)
    one.keep(batch("a", "b"))

    taken = one.take()
    assert taken is not None
    assert other.take() is None
    one.release(taken)
    again = other.take()
    assert again is not None

    assert (again.ids, again.body()) == (("a", "b"), taken.body())
    other.done(again)
    assert one.take() is None


def test_files_take_turns(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000)
    for name in "abc":
        spool.keep(batch(name))
    seen, last = [], ""

    for _ in range(4):
        taken = spool.take(last)
        assert taken is not None
        assert taken.file is not None
        seen.append(taken.ids[0])
        last = taken.file.name
        spool.release(taken)

    assert sorted(seen[:3]) == ["a", "b", "c"]
    assert seen[3] == seen[0]


def test_a_file_that_is_no_batch_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "0.batch").write_text("something else")
    for name, age in (("1.partial", 0), ("2.partial", 7200)):
        (tmp_path / name).write_text('["EVENTS"]\n["a"]\t{"event')
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    spool = Spool(tmp_path, 10_000)
    spool.keep(batch("a"))

    taken = spool.take()

    assert taken is not None
    assert taken.ids == ("a",)
    spool.release(taken)
    assert sorted(path.name for path in tmp_path.iterdir() if path != taken.file) == [
        "0.unreadable",
        "1.partial",
    ]


def test_the_files_are_for_nobody_else_to_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 10_000)
    spool.keep(batch("a"))

    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()}
    assert modes == {0o600}
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_directory_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(OSError, match="written"):
        Spool(tmp_path, 10_000)
