"""Processes that end, fork or are killed: each sends what it recorded, and nothing of another's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

from finops_client import Client

from tests.client.conftest import MakeClient, record
from tests.client.recording import Server, cut, slowly
from tests.instances import ROOT, eventually, free_port

BEGIN = """
import os, sys, threading, time
from finops_client import Client, Settings

def record(count, start=0):
    return [client.record(provider="p", model="m", usage={"input_tokens": n}, event_id=f"{os.getpid()}-{n}")
            for n in range(start, start + count)]
"""


def program(text: str, url: str, wait: float | None = 30, **environment: str) -> subprocess.Popen[str]:
    """Run a program that knows ``record`` and ``Client``."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + textwrap.dedent(text)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "finops/client"),
            "FINOPS_URL": url,
            "FINOPS_API_KEY": "fk_test",
            **environment,
        },
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if wait is not None:
        _, errors = process.communicate(timeout=wait)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
    return process


def test_a_program_that_just_ends_has_sent_everything(server: Server) -> None:
    server.plan.append(cut)

    process = program("client = Client()\nrecord(1200)", server.url)

    assert sorted(server.stored) == sorted(f"{process.pid}-{number}" for number in range(1200))


def test_an_end_without_a_server_is_not_held_up(server: Server) -> None:
    text = """
        client = Client(settings=Settings(exit_timeout=0.5))
        record(10)
    """
    program(text, f"http://127.0.0.1:{free_port()}", wait=8)


def test_what_is_recorded_while_the_interpreter_ends_is_sent(server: Server) -> None:
    text = """
        import atexit
        client = Client()
        # Made before the client starts its thread, so it runs after the client's own end.
        atexit.register(lambda: print(client.stats.dropped))
        record(1)
        atexit.register(record, 5, 1)
    """
    program(text, server.url)

    assert len(server.stored) == 6


def test_a_fork_sends_its_own_events_and_not_its_parents(server: Server) -> None:
    text = """
        client = Client(settings=Settings(flush_interval=0.5))
        record(50)
        child = os.fork()
        record(30, 100)
        if child:
            os.waitpid(child, 0)
    """
    program(text, server.url)

    sent = [name for one in server.received for name in one.ids]
    assert len(sent) == len(set(sent)) == 110
    numbers = [
        sorted(int(name.split("-")[1]) for name in sent if name.startswith(pid))
        for pid in sorted({name.split("-")[0] for name in sent})
    ]
    assert sorted(numbers) == sorted([[*range(50), *range(100, 130)], list(range(100, 130))])


def test_a_client_that_nobody_holds_is_sent_for_by_its_own_process_only(server: Server) -> None:
    text = """
        client = Client(settings=Settings(flush_interval=0.5))
        record(50)
        del client
        child = os.fork()
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    program(text, server.url)

    assert [len(one.ids) for one in server.received] == [50]


def test_forks_while_the_parent_sends_and_other_threads_record(server: Server) -> None:
    text = """
        client = Client(settings=Settings(flush_interval=0.01))
        threads = [threading.Thread(target=record, args=(500, start)) for start in (0, 500)]
        for thread in threads:
            thread.start()
        children = []
        for _ in range(5):
            child = os.fork()
            if child == 0:
                record(20, 5000)
                client.close(20)
                os._exit(0 if client.stats.accepted == 20 else 1)
            children.append(child)
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
    """
    server.always = slowly(0.02, server.store)
    program(text, server.url)

    assert len(server.stored) == 1000 + 5 * 20


def test_children_of_multiprocessing_send_what_they_recorded(server: Server) -> None:
    text = """
        import multiprocessing
        client = Client(settings=Settings(flush_interval=30))
        children = [multiprocessing.get_context("fork").Process(target=record, args=(10,)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
    """
    program(text, server.url)

    assert len(server.stored) == 20


def test_killed_in_an_outage_the_spool_still_has_the_events(server: Server, tmp_path: Path) -> None:
    text = """
        client = Client(settings=Settings(flush_interval=0.05, spool_dir=os.environ["SPOOL"]))
        record(300)
        client.flush()
        print("recorded", flush=True)
        time.sleep(60)
    """
    down = f"http://127.0.0.1:{free_port()}"
    killed = program(text, down, wait=None, SPOOL=str(tmp_path))
    assert killed.stdout is not None
    assert killed.stdout.readline() == "recorded\n"

    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    program(
        """
        client = Client(settings=Settings(spool_dir=os.environ["SPOOL"]))
        while os.listdir(os.environ["SPOOL"]):
            time.sleep(0.05)
        """,
        server.url,
        SPOOL=str(tmp_path),
    )

    assert sorted(server.stored) == sorted(f"{killed.pid}-{number}" for number in range(300))


def test_many_threads_record_at_once(server: Server, make_client: MakeClient) -> None:
    client: Client = make_client(batch_size=100)
    ids: list[list[str]] = []
    threads = [threading.Thread(target=lambda: ids.append(record(client, 400))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush()

    assert sorted(server.stored) == sorted(name for some in ids for name in some)
    assert eventually(lambda: client.stats.accepted == 3200, 5)
