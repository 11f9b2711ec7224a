"""A whole instance: ready, alive after every kill, and gone without a trace when told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.instances import NOBODY, ROOT, Up, eventually, free_port, manage, processes_of


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up.start(tmp_path_factory.mktemp("up"))
    yield running
    if running.process.poll() is None:
        running.stop()
    assert processes_of(running.data_dir) == []


def test_says_it_is_ready_on_a_line_of_its_own(up: Up) -> None:
    assert up.said == [f"Ready: http://127.0.0.1:{up.port}"]


def test_is_ready_in_every_part(up: Up) -> None:
    assert up.checks() == {"database": "ok", "migrations": "ok", "partitions": "ok", "broker": "ok"}


def test_counts_its_requests_over_all_web_processes(up: Up) -> None:
    up.get("/no-such-page")

    status, text = up.get("/metrics")

    assert status == 200
    assert 'finops_http_requests_total{method="GET",route="(none)",status="404"}' in text
    assert "finops_database_up 1.0" in text


def test_answers_probes_whatever_the_host_header(up: Up) -> None:
    assert up.get("/healthz", Host="10.0.0.7:80") == (200, '{"status":"ok"}')


def test_a_second_up_on_the_same_directory_is_refused(up: Up) -> None:
    second = manage("up", "--port", str(free_port()), data_dir=up.data_dir)

    assert second.returncode == 1
    assert "Another `up` is running" in second.stderr


def test_a_port_in_use_is_named(up: Up, tmp_path: Path) -> None:
    second = manage("up", "--no-demo", "--port", str(up.port), data_dir=tmp_path / "data")

    assert second.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{up.port} (address already in use)" in second.stderr
    assert processes_of(tmp_path / "data") == []


def test_commands_attach_to_the_running_instance(up: Up) -> None:
    shown = manage("showmigrations", "accounts", data_dir=up.data_dir)

    assert "[X] 0001" in shown.stdout
    assert up.checks()["database"] == "ok"


@pytest.mark.parametrize("program", ["postgres", "broker", "web", "worker", "beat"])
def test_a_killed_program_comes_back_by_itself(up: Up, program: str) -> None:
    killed = up.pid_of(program)

    os.kill(killed, signal.SIGKILL)

    assert eventually(lambda: up.pid_of(program) != killed)
    assert eventually(lambda: set(up.checks().values()) == {"ok"})


def test_a_killed_supervisor_comes_back_with_everything(up: Up) -> None:
    killed = int((up.data_dir / "run" / "supervisord.pid").read_text())

    os.kill(killed, signal.SIGKILL)

    assert eventually(lambda: not up.checks())
    assert eventually(lambda: set(up.checks().values()) == {"ok"}, 60)


def test_after_kill_9_of_up_everything_ends_and_the_next_recovers(up: Up) -> None:
    with psycopg.connect(up.instance.database_url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    up.process.kill()
    # At once: what is left of the first is still ending.
    second = Up.start(up.data_dir, port=up.port)

    with psycopg.connect(up.instance.database_url()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]
    assert second.stop(signal.SIGINT) == 0
    assert processes_of(up.data_dir) == []


def test_sigterm_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "manage.py", "up", "--no-demo", "--port", str(free_port())]
    starting = subprocess.Popen([*command, "--data-dir", str(data)], stdout=subprocess.PIPE)
    assert eventually((data / "run" / "supervisord.conf").exists)
    time.sleep(0.2)

    starting.terminate()

    assert starting.wait(60) == 0
    assert processes_of(data) == []


def test_runs_as_an_ordinary_user(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the whole suite runs as an ordinary user already")
    try:
        subprocess.run([sys.executable, "-c", "import django"], user=NOBODY, cwd=ROOT, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this interpreter or this checkout is out of an ordinary user's reach")
    data = Path(f"/tmp/finops-test-nobody-{os.getpid()}")
    data.mkdir()
    os.chown(data, NOBODY, NOBODY)
    try:
        up = Up.start(data, uid=NOBODY)
        owners = {entry.stat().st_uid for entry in data.rglob("*")}

        assert up.stop() == 0
        assert owners == {NOBODY}
        assert processes_of(data) == []
    finally:
        subprocess.run(["rm", "-rf", str(data)], check=True)


def test_a_read_only_data_directory_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    prefix = []
    if os.geteuid() == 0:
        # Root writes through mode bits, not through a read-only mount.
        remount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
        prefix = ["unshare", "--mount", "sh", "-c", remount, str(data)]
    else:
        data.chmod(0o500)

    refused = manage("up", "--no-demo", "--port", str(free_port()), data_dir=data, prefix=prefix)

    assert refused.returncode == 1
    assert f"The data directory {data} cannot be written" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_file_in_place_of_the_data_directory_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_text("something else")

    refused = manage("migrate", data_dir=data)

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Error: The data directory {data} cannot be written (")
