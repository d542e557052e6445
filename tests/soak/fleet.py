"""The program's processes, and PostgreSQL, kept running as an init system would."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx

from tests.postgresql import PostgresqlServer, free_port
from tests.soak.options import MODEL

ROOT = Path(__file__).parents[2]
RESTART_S = 1.0


class Member(Protocol):
    """Something that runs until it is killed, and can be launched again."""

    def launch(self) -> None: ...
    def is_running(self) -> bool: ...
    def kill(self) -> None: ...


class Passerby:
    """`passerby COMMAND` on a data folder and a database; its log is FOLDER/NAME.log.

    Programs without a name of their own share the data folder FOLDER/data.
    """

    def __init__(self, command: str, folder: Path, database_url: str, name: str = "") -> None:
        self.name = name or command
        self.database_url = database_url
        self.port = free_port()  # of the API, or of a worker's figures
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{self.name}.log"
        flag = "--metrics-port" if command == "worker" else "--port"
        self._words = [*_program(), command, flag, str(self.port)]
        data_dir = folder / ("data" if not name else f"data-{name}")
        self._environment = {
            **os.environ,
            "PASSERBY_DATA_DIR": str(data_dir),
            "PASSERBY_DATABASE_URL": database_url,
            "PASSERBY_MODEL": "small" if MODEL == "colours" else MODEL,
            "SOAK_COUNTS": str(folder),
            "OMP_NUM_THREADS": "1",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it; it takes a while to be ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._words, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def is_running(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def is_ready(self, http: httpx.Client) -> bool:
        """What /readyz says; False where nobody answers."""
        try:
            return http.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def rss_bytes(self) -> int:
        """Its memory at this moment."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return 1024 * int(line.split()[1])


class Server:
    """PostgreSQL as a member."""

    name = "postgresql"

    def __init__(self, server: PostgresqlServer) -> None:
        self._server = server

    def launch(self) -> None:
        """Start it; it recovers first."""
        self._server.launch()

    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._server.is_running()

    def kill(self) -> None:
        """kill -9 of its main process; its others end when they notice."""
        self._server.stop("kill")


@contextmanager
def keeping_up(members: Sequence[Member]) -> Iterator[None]:
    """Launch members, and again RESTART_S after they ended, until the block is left."""
    left = threading.Event()

    def keep(member: Member) -> None:
        while not left.is_set():
            member.launch()
            while member.is_running() and not left.wait(0.05):
                pass
            left.wait(RESTART_S)

    threads = [threading.Thread(target=keep, args=(member,), daemon=True) for member in members]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        left.set()
        for thread in threads:
            thread.join()
        for member in members:
            if member.is_running():
                member.kill()


def wait_until_ready(programs: Sequence[Passerby], timeout_s: float = 600.0) -> None:
    """Returns when each of them says so."""
    deadline = time.monotonic() + timeout_s
    with httpx.Client(timeout=5) as http:
        while not all(program.is_ready(http) for program in programs):
            logs = {program.name: program.log.read_text()[-500:] for program in programs}
            assert time.monotonic() < deadline, logs
            time.sleep(0.2)


def _program() -> list[str]:
    module = "tests.soak.counting" if MODEL == "colours" else "app.cli"
    return [sys.executable, "-W", "ignore", "-m", module]
