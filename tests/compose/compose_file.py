"""docker-compose.yml as plain data: interpolated, with its services' commands, environments and
volumes, and what they wait for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:?[-?])(?P<other>[^}]*))?\})")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host, or a named volume, in a container."""

    source: str
    target: str
    is_volume: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Health:
    """A health check. Times in seconds."""

    command: tuple[str, ...]
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float


@dataclass(frozen=True)
class Service:
    """What the file says of one service."""

    name: str
    image: str
    profiles: tuple[str, ...] = ()
    command: tuple[str, ...] | None = None
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[str, ...] = ()
    read_only: bool = False
    cap_drop: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    ports: tuple[tuple[str, int, int], ...] = ()  # of TCP: (host address, host port, container's)
    depends_on: Mapping[str, tuple[str, bool]] = field(default_factory=dict)  # condition, required
    health: Health | None = None
    restart: str = "no"
    scale: int = 1
    stop_grace_s: float = 10.0
    needs_gpu: bool = False


def read_compose_file(folder: Path, variables: Mapping[str, str]) -> dict[str, Service]:
    """The services of `folder`/docker-compose.yml. variables: win over those in `folder`/.env.

    Raises ValueError for a variable that must be given and isn't.
    """
    given = {**read_env_file(folder / ".env"), **variables}
    document = yaml.safe_load((folder / "docker-compose.yml").read_text())
    document = _interpolate(document, given)
    secrets = {name: str(folder / what["file"]) for name, what in document["secrets"].items()}
    services = document["services"].items()
    return {name: _service(name, said, folder, secrets) for name, said in services}


def read_env_file(path: Path) -> dict[str, str]:
    """Lines NAME=VALUE; none where there is no such file."""
    if not path.exists():
        return {}
    lines = [line.strip() for line in path.read_text().splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}


def _interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolate(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$"
        has = variables.get(found["name"])
        how = found["how"] or ""
        if has is None or (how.startswith(":") and not has):
            if how.endswith("?"):
                raise ValueError(f"{found['name']}: {found['other']}")
            return found["other"] or ""
        return has

    return _VARIABLE.sub(fill, value)


def _service(
    name: str, said: Mapping[str, Any], folder: Path, secrets: Mapping[str, str]
) -> Service:
    environment = {}
    for file in said.get("env_file", []):
        environment.update(read_env_file(folder / file["path"]))
    environment.update({key: str(value) for key, value in said.get("environment", {}).items()})
    mounts = [_mount(text, folder) for text in said.get("volumes", [])]
    mounts += [
        Mount(secrets[secret], f"/run/secrets/{secret}", read_only=True)
        for secret in said.get("secrets", [])
    ]
    command = said.get("command")
    return Service(
        name,
        said["image"],
        profiles=tuple(said.get("profiles", ())),
        command=tuple(shlex.split(command) if isinstance(command, str) else map(str, command))
        if command is not None
        else None,
        user=said.get("user"),
        environment=environment,
        mounts=tuple(mounts),
        tmpfs=tuple(text.partition(":")[0] for text in said.get("tmpfs", ())),
        read_only=said.get("read_only", False),
        cap_drop=tuple(said.get("cap_drop", ())),
        cap_add=tuple(said.get("cap_add", ())),
        security_opt=tuple(said.get("security_opt", ())),
        ports=tuple(_port(text) for text in said.get("ports", ()) if not text.endswith("/udp")),
        depends_on=_depends_on(said.get("depends_on", {})),
        health=_health(said.get("healthcheck")),
        restart=str(said.get("restart", "no")),
        scale=int(said.get("scale", 1)),
        stop_grace_s=_seconds(said.get("stop_grace_period", "10s")),
        needs_gpu="deploy" in said,  # which reserves devices, and says nothing else
    )


def _mount(text: str, folder: Path) -> Mount:
    source, target, *options = text.split(":")
    is_volume = not source.startswith((".", "/"))
    where = source if is_volume else str((folder / source).absolute())
    return Mount(where, target, is_volume, "ro" in options)


def _port(text: str) -> tuple[str, int, int]:
    *address, outer, inner = text.split(":")
    return (address[0] if address else "0.0.0.0", int(outer), int(inner))


def _depends_on(said: Any) -> dict[str, tuple[str, bool]]:
    if isinstance(said, list):
        return dict.fromkeys(said, ("service_started", True))
    return {name: (how["condition"], how.get("required", True)) for name, how in said.items()}


def _health(said: Mapping[str, Any] | None) -> Health | None:
    if said is None or said.get("disable"):
        return None
    kind, *command = said["test"]
    assert kind == "CMD", said
    return Health(
        tuple(command),
        _seconds(said.get("interval", "30s")),
        _seconds(said.get("timeout", "30s")),
        int(said.get("retries", 3)),
        _seconds(said.get("start_period", "0s")),
    )


def _seconds(text: str) -> float:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    assert parts, text
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
