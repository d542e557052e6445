"""What each `docker compose` command does with the services of a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.compose.compose_file import Service
from tests.compose.container import Container
from tests.compose.images import Image, find_image
from tests.compose.network import HOST, Network, address
from tests.compose.words import Asked, Terminal

UP_TIMEOUT_S = 240.0  # on a machine that does much else
Services = Mapping[str, Service]


class Project:
    """The containers, by name. state: a folder for volumes and logs. names: of other hosts, each
    with the service that it leads to, or "" for this host."""

    def __init__(self, state: Path, network: Network, names: Mapping[str, str]) -> None:
        self._state = state
        self._network = network
        self._names = names
        self._containers: dict[str, Container] = {}
        self._numbers: dict[str, int] = {}
        self._lock = threading.RLock()

    def do(self, asked: Asked, services: Services, profiles: set[str], say: Terminal) -> int:
        """The command's exit code. Raises AssertionError with the reason why it can't be done."""
        with_profiles = {
            name: service
            for name, service in services.items()
            if not service.profiles or profiles & set(service.profiles)
        }
        match asked.verb:
            case "up":
                chosen = [services[name] for name in asked.services] or with_profiles.values()
                self._up(asked, list(chosen), services, profiles, say)
            case "exec":
                return self._exec(asked, say)
            case "run":
                return self._run(asked, services, profiles, say)
            case "ps":
                self._ps(asked, say)
            case "logs":
                for one in self._of(asked.services):
                    for line in last_lines(one, int(asked.tail)):
                        say.line(f"{one.name}  | {line}")
            case "stop":
                _stop(self._of(asked.services))
            case "start" | "restart":
                self._restart(asked, services, say)
            case "kill":
                for one in self._of(asked.services):
                    one.signal(asked.signal)
            case "down":
                self.down(volumes=asked.volumes)
            case "build" | "pull":
                say.error(f"{asked.verb}: this repository's environment stands in for the image")
            case "config":
                say.line("" if asked.quiet else "\n".join(with_profiles))
        return 0

    def containers(self) -> list[Container]:
        """In the order in which they came."""
        with self._lock:
            return list(self._containers.values())

    def volume(self, name: str) -> Path:
        """Where a named volume is on this machine."""
        return self._state / "volumes" / name

    def down(self, *, volumes: bool) -> None:
        """Stop and forget all containers."""
        with self._lock:
            _stop(self._containers.values())
            self._containers.clear()
            self._network.unpublish_all()
            if volumes:
                shutil.rmtree(self._state / "volumes", ignore_errors=True)

    def _up(
        self,
        asked: Asked,
        chosen: list[Service],
        services: Services,
        profiles: set[str],
        say: Terminal,
    ) -> None:
        assert asked.detach or asked.wait, "here `up` needs --detach: nobody watches"
        scales = dict(pair.split("=") for pair in asked.scale)
        sized = {
            name: replace(service, scale=int(scales.get(name, service.scale)))
            for name, service in services.items()
        }
        starting = Starting(sized, profiles, say, alone=asked.no_deps, anew=asked.force_recreate)
        for service in chosen:
            self._start(sized[service.name], starting)
        if asked.wait:
            for one in self._of([service.name for service in chosen]):
                reached = one.wait_for(_is_settled, UP_TIMEOUT_S)
                is_well = one.state in ("healthy", "running") or one.exit_code == 0
                assert reached and is_well, f"container {one.name} is {one.state}"

    def _start(self, service: Service, starting: Starting) -> None:
        if service.name in starting.done:
            return
        starting.done.add(service.name)
        image = None if service.needs_gpu else find_image(service.image)
        if image is None:
            lacks = "a GPU" if service.needs_gpu else service.image
            starting.say.error(f"{service.name}: nothing stands in for {lacks}: left out")
            return
        if not starting.alone:
            self._start_needed(service, starting)
        for index in range(1, service.scale + 1):
            self._start_one(service, image, f"{service.name}-{index}", starting)
        for one in self._of([service.name])[service.scale :]:
            one.stop()
            del self._containers[one.name]

    def _start_needed(self, service: Service, starting: Starting) -> None:
        for name, (condition, required) in service.depends_on.items():
            needed = starting.services[name]
            if needed.profiles and not starting.profiles & set(needed.profiles):
                assert not required, f"{service.name} needs {name}, whose profile is not on"
                continue
            self._start(needed, starting)
            for one in self._of([name]):
                _await(one, condition)

    def _start_one(self, service: Service, image: Image, name: str, starting: Starting) -> None:
        with self._lock:
            old = self._containers.get(name)
            if old is not None:
                if old.state != "exited" and old.service == service and not starting.anew:
                    return
                old.stop()
            one = self._make(service, image, name, starting.services)
            self._containers[name] = one
        for host_address, port, inner in service.ports:
            self._network.publish(host_address, port, one.number, inner)
        starting.say.error(f"Container {name} started")

    def _make(
        self,
        service: Service,
        image: Image,
        name: str,
        services: Services,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        given: Path | None = None,
    ) -> Container:
        return Container(
            service,
            image,
            self._number(name),
            name=name,
            network=self._network,
            hosts=self._hosts(services),
            folders=self._volumes_of(service, image),
            log=self._state / f"{name}.log",
            command=command,
            environment=environment,
            given=given,
        )

    def _hosts(self, services: Services) -> dict[str, str]:
        inside = {name: address(self._number(f"{name}-1")) for name in services}
        return inside | {name: inside.get(to, HOST) for name, to in self._names.items()}

    def _number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def _volumes_of(self, service: Service, image: Image) -> dict[str, Path]:
        """Their folders; a new one has the owner that its place in the image has."""
        folders = {}
        for mount in service.mounts:
            if not mount.is_volume:
                assert Path(mount.source).exists(), (
                    f"bind source path does not exist: {mount.source}"
                )
                continue
            folder = folders[mount.source] = self.volume(mount.source)
            if not folder.exists():
                folder.mkdir(parents=True)
                if mount.target in image.owned:
                    owner = max(image.users.values(), default=0)
                    os.chown(folder, owner, owner)
        return folders

    def _exec(self, asked: Asked, say: Terminal) -> int:
        name, *words = asked.rest
        running = [one for one in self._of([name]) if one.state != "exited"]
        assert running, f'service "{name}" is not running'
        command = running[0].command_inside(words, _pairs(asked.env))
        return subprocess.run(command, stdin=say.stdin, stdout=say.out, stderr=say.err).returncode

    def _run(self, asked: Asked, services: Services, profiles: set[str], say: Terminal) -> int:
        name, *words = asked.rest
        service = services[name]
        image = find_image(service.image)
        assert image is not None, f"nothing stands in for {service.image}"
        if not asked.no_deps:
            self._start_needed(service, Starting(services, profiles, say))
        once = replace(service, restart="no", health=None)
        if asked.entrypoint:
            image = replace(image, entrypoint=tuple(asked.entrypoint), command=())
            once = replace(once, command=None)
        given = self._state / f"{name}-run.input"
        with given.open("wb") as file:
            shutil.copyfileobj(say.stdin, file)
        one = self._make(
            once, image, f"{name}-run", services, words or None, _pairs(asked.env), given
        )
        ended = one.wait_for(lambda c: c.state == "exited", UP_TIMEOUT_S)
        say.out.write(one.log.read_bytes())
        one.log.unlink()
        given.unlink()
        assert ended and one.exit_code is not None, f"{name} goes on after {UP_TIMEOUT_S:.0f} s"
        return one.exit_code

    def _restart(self, asked: Asked, services: Services, say: Terminal) -> None:
        chosen = self._of(asked.services)
        if asked.verb == "restart":
            _stop(chosen)
        for one in chosen:
            self._start_one(one.service, one.image, one.name, Starting(services, set(), say))

    def _ps(self, asked: Asked, say: Terminal) -> None:
        say.line(f"{'NAME':24} {'SERVICE':16} STATUS")
        for one in self.containers():
            if asked.all or one.state != "exited":
                state = f"exited ({one.exit_code})" if one.state == "exited" else one.state
                say.line(f"passerby-{one.name:15} {one.service.name:16} {state}")

    def _of(self, names: Sequence[str]) -> list[Container]:
        """The containers of these services; of all where none is named."""
        return [one for one in self.containers() if not names or one.service.name in names]


class Starting:
    """One `up`, in which each service is started once. alone: without what it needs; anew: also
    what runs as it should."""

    def __init__(
        self,
        services: Services,
        profiles: set[str],
        say: Terminal,
        *,
        alone: bool = False,
        anew: bool = False,
    ) -> None:
        self.services, self.profiles, self.say = services, profiles, say
        self.alone, self.anew = alone, anew
        self.done: set[str] = set()


def last_lines(one: Container, lines: int) -> list[str]:
    """The end of what a container said."""
    return one.log.read_text(errors="replace").splitlines()[-lines:]


def _await(one: Container, condition: str) -> None:
    if condition == "service_healthy":
        one.wait_for(lambda c: c.state in ("healthy", "unhealthy"), UP_TIMEOUT_S)
        assert one.state == "healthy", f"container {one.name} is {one.state}"
    if condition == "service_completed_successfully":
        one.wait_for(lambda c: c.state == "exited", UP_TIMEOUT_S)
        said = f"service {one.service.name} didn't complete successfully: exit {one.exit_code}"
        assert one.exit_code == 0, said


def _is_settled(one: Container) -> bool:
    return one.state in ("healthy", "unhealthy", "exited") or (
        one.service.health is None and one.service.restart != "no"
    )


def _stop(containers: Iterable[Container]) -> None:
    stopping = [threading.Thread(target=one.stop) for one in containers]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join()


def _pairs(words: Iterable[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words)
