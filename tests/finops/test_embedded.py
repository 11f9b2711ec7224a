"""The engines: who runs them, which programs, and what a killed one leaves."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from finops.embedded.broker import Broker
from finops.embedded.identity import Identity, engine_identity
from finops.embedded.layout import EngineError, Instance
from finops.embedded.postgres import Postgres, _installations
from tests.instances import NOBODY, eventually

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another identity")
DIES_WITH_PARENT = """
import signal, subprocess, sys, time
from finops.embedded.supervisor import tied
child = subprocess.Popen(tied([sys.executable, "-c", "import time; time.sleep(60)"]))
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    made = Instance(tmp_path / "data")
    made.prepare()
    yield made
    if (made.postgres / "PG_VERSION").exists():
        Postgres.of(made).stop()


def _secret(root: str) -> str:
    return Instance(Path(root)).secret_key()


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = set(pool.map(_secret, [str(tmp_path / "data")] * 8))

    assert len(keys) == 1
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["secret_key"]


def test_a_long_path_still_has_sockets_that_fit(tmp_path: Path) -> None:
    deep = Instance(tmp_path / ("d" * 120))

    assert len(os.fsencode(deep.sockets / ".s.PGSQL.5432")) < 107
    assert deep.sockets == Instance(deep.root).sockets
    assert deep.sockets != Instance(deep.root / "other").sockets


def test_nobody_else_may_have_made_the_socket_directory(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    instance.sockets.symlink_to("/tmp")

    with pytest.raises(EngineError, match="must be a directory of our own"):
        instance.prepare()


def test_a_server_killed_with_9_keeps_what_was_committed(instance: Instance) -> None:
    postgres = Postgres.of(instance)
    postgres.initialise()
    postgres.start()
    with psycopg.connect(instance.database_url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT n FROM generate_series(1, 1000) n")
    master = int((postgres.data / "postmaster.pid").read_text().split()[0])

    os.kill(master, signal.SIGKILL)
    assert eventually(lambda: not postgres.is_up())
    postgres.start()

    with psycopg.connect(instance.database_url()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert instance.sockets.stat().st_mode & 0o777 == 0o700


def test_a_lock_that_names_a_stranger_is_dropped(instance: Instance) -> None:
    postgres = Postgres.of(instance)
    postgres.initialise()
    # As after a restart of a container: the number was given to another program.
    lock = postgres.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{postgres.data}\n{int(time.time())}\n5432\n{instance.sockets}\n\n")

    postgres.start()

    assert postgres.is_up()


def test_a_half_made_cluster_is_made_again(instance: Instance) -> None:
    half = instance.root / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")

    postgres = Postgres.of(instance)
    postgres.initialise()
    postgres.start()

    assert postgres.is_up()
    assert not half.exists()


def test_data_of_another_major_version_are_refused(instance: Instance) -> None:
    instance.postgres.mkdir()
    (instance.postgres / "PG_VERSION").write_text("9\n")

    with pytest.raises(EngineError, match=r"was made by PostgreSQL 9, and this machine has .*18"):
        Postgres.of(instance)

    shutil.rmtree(instance.postgres)


def test_data_made_with_a_system_postgresql_are_served_by_it(instance: Instance) -> None:
    older = [programs for programs in _installations() if programs.major != 18]
    if not older:
        pytest.skip("no second PostgreSQL on this machine")
    first = Postgres(instance, older[0], engine_identity(instance.postgres))
    first.initialise()

    postgres = Postgres.of(instance)
    postgres.start()

    assert postgres.programs == older[0]
    with psycopg.connect(instance.database_url()) as connection:
        assert connection.info.server_version // 10000 == older[0].major


@as_root
def test_where_namespaces_are_forbidden_an_unprivileged_user_runs_it(tmp_path: Path) -> None:
    # Below a directory that this user could not enter by itself.
    tmp_path.chmod(0o700)
    instance = Instance(tmp_path / "data")
    instance.prepare()
    identity = Identity("user", NOBODY, NOBODY)
    postgres = Postgres(instance, Postgres.of(instance).programs, identity)
    postgres.initialise()
    postgres.start()

    assert postgres.is_up()
    assert postgres.data.stat().st_uid == NOBODY
    assert (tmp_path.stat().st_mode & 0o777, instance.root.stat().st_uid) == (0o700, 0)
    # What was made so is served so.
    assert engine_identity(instance.postgres) == identity
    postgres.stop()


@as_root
def test_root_serves_its_own_files_through_a_namespace(instance: Instance) -> None:
    identity = engine_identity(instance.postgres)
    if identity.kind != "namespace":
        pytest.skip("this machine forbids user namespaces")

    done = subprocess.run(
        identity.command([sys.executable, "-c", "import os; print(os.geteuid())"]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert int(done.stdout) == identity.uid


def test_the_broker_keeps_its_queue_over_a_kill(instance: Instance) -> None:
    broker = Broker.of(instance, engine_identity(instance.broker))
    broker.initialise()
    client = redis.Redis(unix_socket_path=str(instance.broker_socket))
    process = subprocess.Popen(broker.foreground(), stdout=subprocess.DEVNULL)
    try:
        broker.wait()
        client.lpush("queue", "message")
        # Longer than the second that a sync may take.
        time.sleep(1.5)
        process.kill()
        process.wait()
        client.close()
        process = subprocess.Popen(broker.foreground(), stdout=subprocess.DEVNULL)
        broker.wait()

        assert client.lrange("queue", 0, -1) == [b"message"]
        assert client.config_get("port") == {"port": "0"}
    finally:
        process.terminate()
        process.wait()


def test_a_tied_program_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", DIES_WITH_PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.3)

    parent.kill()

    parent.wait()
    assert eventually(lambda: not Path(f"/proc/{child}").exists() or _is_zombie(child), 5)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
