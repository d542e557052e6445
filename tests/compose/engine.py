"""Brings docker-compose.yml up without a container engine, behind a `docker compose` on the PATH.

    with Engine(copy_checkout(tmp_path / "passerby")) as engine:
        engine.shell("docker/make-secrets.sh && docker compose up --detach --wait")
        print(engine.shell("curl --fail --silent http://127.0.0.1:8000/healthz"))

`shell` runs what a page of docs has, as it stands (pages.py takes it from there). In it, `docker`
is this engine's, and 127.0.0.1 that of a host which no other test shares and which has no way out.

Each container is real processes in namespaces of their own: with the file's command, user,
environment, secrets, volumes, read-only root and dropped capabilities, in the file's order, under
its health checks and restart policy. Not there: limits of memory, CPU and processes, seccomp,
several networks (there is one), and images that nothing stands in for (images.py): a service of
such an image is left out, and `up` says so. Needs root, `ip` and `curl`; the fixture `engine` skips
without.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.compose.compose_file import read_compose_file, read_env_file
from tests.compose.images import ROOT
from tests.compose.network import Network
from tests.compose.project import Project, last_lines
from tests.compose.words import Terminal, parse, profiles_on

_CLIENT = Path(__file__).parent / "docker.py"
_SCRIPT_TIMEOUT_S = 280.0


def copy_checkout(folder: Path) -> Path:
    """What a user has who fetched this repository, as far as these commands look at it."""
    folder.mkdir()
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "docker", folder / "docker")
    return folder


class Engine:
    """One project on a host of its own. close() ends all of it; or use it as a context manager.

    names: of other hosts, each with the service that it leads to, or "" for this host."""

    def __init__(self, folder: Path, names: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._state = Path(tempfile.mkdtemp(prefix="engine"))
        self._state.chmod(0o755)
        client = self._state / "bin/docker"
        client.parent.mkdir()
        client.write_text(f'#!/bin/sh\nexec {sys.executable} -S {_CLIENT} "$@"\n')
        client.chmod(0o755)
        self.network = Network()
        self.project = Project(self._state, self.network, names or {})
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._state / "socket"))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Everything ends, and its volumes are gone."""
        self._listener.close()
        self.project.down(volumes=True)
        self.network.close()
        shutil.rmtree(self._state, ignore_errors=True)

    def shell(self, script: str, environment: Mapping[str, str] | None = None) -> str:
        """What a script prints on standard output. Raises AssertionError with the end of each log
        where one of its commands fails."""
        try:
            done = self.run(["bash", "-euo", "pipefail", "-c", script], environment)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{script}\ngoes on for ever\n{self.logs()}") from error
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}\n{self.logs()}"
        return done.stdout

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command on the host, in the checkout."""
        variables = {
            "HOME": str(self._state),
            "LANG": "C.UTF-8",
            "PATH": f"{self._state / 'bin'}:{os.environ['PATH']}",
            "STAND_IN_SOCKET": str(self._state / "socket"),
            **(environment or {}),
        }
        return subprocess.run(
            self.network.on_host(command),
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=_SCRIPT_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )

    def logs(self, lines: int = 15) -> str:
        """The end of each container's log."""
        found = self.project.containers()
        return "\n".join("\n".join([f"--- {one.name}", *last_lines(one, lines)]) for one in found)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection: socket.socket) -> None:
        with connection:
            message, fds, _, _ = socket.recv_fds(connection, 1 << 20, 3)
            asked = json.loads(message)
            with (
                os.fdopen(fds[0], "rb", buffering=0) as stdin,
                os.fdopen(fds[1], "wb", buffering=0) as out,
                os.fdopen(fds[2], "wb", buffering=0) as err,
            ):
                code = self._answer(asked, Terminal(stdin, out, err))
            connection.sendall(str(code).encode())

    def _answer(self, asked: Mapping[str, object], say: Terminal) -> int:
        folder, variables = Path(str(asked["folder"])), asked["variables"]
        assert isinstance(variables, dict) and isinstance(asked["words"], list)
        try:
            words = parse(asked["words"])
            profiles = {*words.profile, *profiles_on(read_env_file(folder / ".env"), variables)}
            return self.project.do(words, read_compose_file(folder, variables), profiles, say)
        except (AssertionError, ValueError, KeyError, OSError, argparse.ArgumentError) as error:
            say.error(f"{type(error).__name__}: {error}")
            return 1
        except SystemExit:
            say.error(f"not known here: docker compose {' '.join(asked['words'])}")
            return 1
