"""What `docker compose` is told, as far as the docs use it, and where its input and output are."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO

_OTHERS = ("ps", "logs", "stop", "start", "restart", "kill", "down", "build", "pull", "config")


class Terminal:
    """A command's standard streams."""

    def __init__(self, stdin: BinaryIO, out: BinaryIO, err: BinaryIO) -> None:
        self.stdin, self.out, self.err = stdin, out, err

    def line(self, text: str) -> None:
        self.out.write(f"{text}\n".encode())

    def error(self, text: str) -> None:
        with suppress(BrokenPipeError):  # who asked is gone
            self.err.write(f"{text}\n".encode())


class Asked(argparse.Namespace):
    """A command's words, by name."""


def parse(words: Sequence[str]) -> Asked:
    """Raises ArgumentError, SystemExit for words that are not known here."""
    parser = argparse.ArgumentParser(prog="docker compose", exit_on_error=False)
    parser.add_argument("--profile", action="append", default=[])
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up")
    up.add_argument("--scale", action="append", default=[])
    for flag in ("--detach", "-d"):
        up.add_argument(flag, dest="detach", action="store_true")
    for flag in ("--wait", "--build", "--no-deps", "--force-recreate"):
        up.add_argument(flag, action="store_true")
    for verb in ("exec", "run"):
        inner = verbs.add_parser(verb)
        inner.add_argument("-e", "--env", action="append", default=[])
        inner.add_argument("-T", "--no-TTY", action="store_true")
        inner.add_argument("--rm", action="store_true")
        inner.add_argument("--no-deps", action="store_true")
        inner.add_argument("--entrypoint", action="append", default=[])
        inner.add_argument("rest", nargs=argparse.REMAINDER)
    others = {verb: verbs.add_parser(verb) for verb in _OTHERS}
    others["ps"].add_argument("-a", "--all", action="store_true")
    others["logs"].add_argument("-n", "--tail", default="1000000")
    others["logs"].add_argument("--since", default="")  # shown from the start here
    others["kill"].add_argument("-s", "--signal", default="SIGKILL")
    others["down"].add_argument("-v", "--volumes", action="store_true")
    others["config"].add_argument("-q", "--quiet", action="store_true")
    for other in (up, *others.values()):
        other.add_argument("services", nargs="*")
    return parser.parse_args(words, Asked())


def profiles_on(env_file: Mapping[str, str], variables: Mapping[str, str]) -> set[str]:
    """Those of COMPOSE_PROFILES; the environment wins over .env."""
    value = variables.get("COMPOSE_PROFILES", env_file.get("COMPOSE_PROFILES", ""))
    return {name.strip() for name in value.split(",") if name.strip()}
