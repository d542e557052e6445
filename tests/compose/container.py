"""One container: a service's process in its own files and network, its health and its restarts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.compose import inside
from tests.compose.compose_file import Health, Service
from tests.compose.images import ROOT, Image
from tests.compose.network import Network

_EVERY_S = 0.25  # how often a container that starts is asked; afterwards, as its file says
_AGAIN_S = 0.2
_TABLES = ("tcp", "tcp6")
_LISTEN = "0A"


class Container:
    """Starts once made. `name` is unique; `number` gives its address.

    hosts: address by name, of all containers. folders: of named volumes. given: what it reads on
    its standard input.
    """

    def __init__(
        self,
        service: Service,
        image: Image,
        number: int,
        *,
        name: str,
        network: Network,
        hosts: Mapping[str, str],
        folders: Mapping[str, Path],
        log: Path,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        given: Path | None = None,
    ) -> None:
        self.service, self.image, self.number, self.name = service, image, number, name
        self.log = log
        self.starts = 0
        self.exit_code: int | None = None
        self.state = "starting"  # healthy, unhealthy, running (no check), exited
        self._network = network
        self._spec = _spec(service, image, name, hosts, folders, command, environment or {})
        self._spec["input"] = None if given is None else str(given)
        self._is_wanted = True
        self._process: subprocess.Popen[str] | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)
        self._thread.start()

    def wait_for(self, reached: Callable[[Container], bool], timeout_s: float) -> bool:
        """Whether it came to that in time."""
        with self._changed:
            return self._changed.wait_for(lambda: reached(self), timeout_s)

    def command_inside(self, words: Sequence[str], extra: Mapping[str, str]) -> list[str]:
        """What runs `words` in this container, as its user and with its environment."""
        assert self._process is not None and self.state != "exited", f"{self.name} is not running"
        pid = self._first_pid()
        variables = {**self._spec["environment"], **extra}
        return [
            *("nsenter", "--target", str(pid), "--mount", "--net", "--pid"),
            f"--root=/proc/{pid}/root",
            f"--wd=/proc/{pid}/root{self._spec['folder']}",
            *inside.as_user(self._spec),
            *("env", "-i", *(f"{name}={value}" for name, value in variables.items()), *words),
        ]

    def signal(self, name: str) -> None:
        """Send it a signal, as `docker compose kill` does; its policy decides what follows."""
        subprocess.run(["kill", "-s", name.removeprefix("SIG"), str(self._first_pid())], check=True)

    def stop(self) -> None:
        """By the image's signal, and by force when the file's time is over."""
        self._is_wanted = False
        process = self._process
        if process is not None and process.poll() is None:
            try:
                self.signal(self.image.stop_signal)
                process.wait(self.service.stop_grace_s)
            except (subprocess.TimeoutExpired, subprocess.CalledProcessError, OSError):
                process.kill()
        self._thread.join()

    def _supervise(self) -> None:
        while True:
            self._set_state("starting" if self.service.health else "running")
            code = self._run_once()
            self.exit_code = code
            policy = self.service.restart
            again = policy in ("always", "unless-stopped") or (policy == "on-failure" and code != 0)
            if not (self._is_wanted and again):
                return self._set_state("exited")
            time.sleep(_AGAIN_S)

    def _run_once(self) -> int:
        with (
            tempfile.TemporaryDirectory(prefix="container") as folder,
            self.log.open("ab") as log,
        ):
            root = Path(folder, "root")
            root.mkdir()
            spec = Path(folder, "spec.json")
            spec.write_text(json.dumps({**self._spec, "root": str(root)}))
            namespaces = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
            self._process = subprocess.Popen(
                ["unshare", *namespaces, sys.executable, inside.__file__, str(spec)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            self._network.plug_in(self._first_pid(), self.number)
            assert self._process.stdin is not None
            self._process.stdin.write("\n")
            self._process.stdin.close()
            self.starts += 1
            over = threading.Event()
            checks = threading.Thread(target=self._check, args=(over,), daemon=True)
            checks.start()
            code = self._process.wait()
            over.set()
            checks.join()
            return code

    def _first_pid(self) -> int:
        """Of the process that is the first in the container; `unshare` is its parent."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        while self._process.poll() is None:
            if found := children.read_text().split():
                return int(found[0])
            time.sleep(0.01)
        raise ProcessLookupError(self.name)

    def _check(self, over: threading.Event) -> None:
        health = self.service.health
        if health is None:
            return
        began, failures = time.monotonic(), 0
        while not over.wait(_EVERY_S if self.state == "starting" else health.interval_s):
            is_well = self._is_well(health)
            failures = 0 if is_well else failures + 1
            if is_well:
                self._set_state("healthy")
            elif failures >= health.retries and time.monotonic() - began > health.start_period_s:
                self._set_state("unhealthy")

    def _is_well(self, health: Health) -> bool:
        try:
            if not _is_listening(self._first_pid()):
                return False  # nor would the check succeed, which costs a process
            command, quiet = self.command_inside(health.command, {}), subprocess.DEVNULL
            done = subprocess.run(command, stdout=quiet, stderr=quiet, timeout=health.timeout_s)
            return done.returncode == 0
        except (subprocess.TimeoutExpired, OSError, AssertionError):
            return False

    def _set_state(self, state: str) -> None:
        with self._changed:
            self.state = state
            self._changed.notify_all()


def _is_listening(pid: int) -> bool:
    """Whether anything takes connections in the network of this process."""
    tables = (Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in _TABLES)
    return any(line.split()[3] == _LISTEN for table in tables for line in table)


def _spec(
    service: Service,
    image: Image,
    name: str,
    hosts: Mapping[str, str],
    folders: Mapping[str, Path],
    command: Sequence[str] | None,
    environment: Mapping[str, str],
) -> dict[str, object]:
    users = {"root": 0, **image.users}
    named = service.user or image.user
    uid, _, gid = named.partition(":")
    number = users.get(uid) if uid in users else int(uid)
    mounts = [
        (str(folders[m.source] if m.is_volume else m.source), m.target, m.read_only)
        for m in service.mounts
    ]
    own = [(str(path), str(path), True) for path in (ROOT, Path(sys.prefix), Path(sys.base_prefix))]
    brought = [(str(here), target, True) for target, here in image.folders.items()]
    variables = {**image.environment, **service.environment, **environment, "HOSTNAME": name}
    lines = [f"{who}:x:{id_}:{id_}::/nonexistent:/bin/sh" for who, id_ in users.items()]
    return {
        "user": f"{number}:{gid or number}",
        "cap_drop": service.cap_drop,
        "cap_add": service.cap_add,
        "security_opt": service.security_opt,
        "read_only": service.read_only,
        "tmpfs": service.tmpfs,
        "mounts": [*([] if image.root else _outermost(own)), *brought, *mounts],
        "environment": variables,
        "command": [*image.entrypoint, *(command or service.command or image.command)],
        "folder": image.folder,
        "image_root": str(image.root) if image.root else "",
        "etc": {
            "passwd": "\n".join(lines) + "\n",
            "group": "".join(f"{who}:x:{id_}:\n" for who, id_ in users.items()),
            "hosts": "127.0.0.1 localhost\n"
            + "".join(f"{where} {host}\n" for host, where in hosts.items()),
            "nsswitch.conf": "hosts: files\n",
        },
    }


def _outermost(mounts: list[tuple[str, str, bool]]) -> list[tuple[str, str, bool]]:
    """Without those in a folder that is mounted anyway, or comes with the system."""
    folders = {Path(source) for source, _, _ in mounts}
    return [
        mount
        for mount in mounts
        if not any(parent in folders for parent in Path(mount[0]).parents)
        and not mount[0].startswith("/usr/")
    ]
