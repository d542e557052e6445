"""Every command is in docs/client.md, with whether it works on a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import typer
from click import Command

from app.cli import app

DOCS = Path(__file__).parents[2] / "docs" / "client.md"


def walk(command: Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Command]]:
    """Each command that does something, by its words."""
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(words), command
        return
    for name, child in children.items():
        yield from walk(child, (*words, name))


def test_every_command_is_listed_with_where_it_works() -> None:
    rows = re.findall(r"^\| (`.*?`) \| (yes|no) \|", DOCS.read_text(), re.M)
    listed = {
        name: where == "yes" for names, where in rows for name in re.findall(r"`([^`]+)`", names)
    }
    found = {
        name: any("--server" in option.opts for option in command.params)
        for name, command in walk(typer.main.get_command(app))
    }
    assert len(found) > 20
    assert listed == found


def test_commands_on_a_server_say_that_they_do() -> None:
    for name, command in walk(typer.main.get_command(app)):
        options = {option.name for option in command.params}
        if "server" in options:
            assert "data_dir" in options, f"{name}: here or there"
