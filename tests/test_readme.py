"""What the README says can be done, can be done."""

import json
import re
import shlex
from pathlib import Path

import pytest
import typer
from click import Command, Context, Group

from app.cli import app
from app.query.schemas import SearchRequest, SearchResponse
from app.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
README = PAGES[0].read_text()


def shell_lines(pattern: str) -> list[str]:
    """Lines of the pages' shell blocks that match, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split(" #")[0].strip() for line in lines if re.match(pattern, line.strip())]


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {word for line in shell_lines("make ") for word in line.split()[1:]}
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{re.escape(target)}:", makefile, re.M), target


def find_command(words: list[str]) -> Command:
    command: Command = typer.main.get_command(app)
    while isinstance(command, Group):
        name = words.pop(0)
        assert name in command.commands, f"passerby {name}: no such command"
        command = command.commands[name]
    return command


@pytest.mark.parametrize("line", shell_lines(r"(\.venv/bin/)?passerby "))
def test_commands_parse(line: str) -> None:
    words = shlex.split(line)[1:]
    command = find_command(words)
    with Context(command, info_name="passerby", resilient_parsing=False) as context:
        command.parse_args(context, words)


def test_rest_example_is_what_the_api_takes_and_gives() -> None:
    body = re.search(r"-d '(\{.*?\})'", README, re.S)
    answer = re.search(r"```json\n(.*?)```", README, re.S)
    assert body and answer
    SearchRequest.model_validate_json(body[1])
    response = SearchResponse.model_validate(json.loads(answer[1]))
    assert len(response.results) == json.loads(body[1])["limit"]


def test_folders_of_the_tree_exist() -> None:
    tree = re.search(r"```\nmodel/.*?```", README, re.S)
    assert tree
    for folder in re.findall(r"^(\w+/)", tree[0], re.M):
        assert (ROOT / folder).is_dir(), folder


def test_files_named_in_the_readme_exist() -> None:
    named = re.findall(r"`((?:app|indexer|model|docs)/[\w/.]+)`", README)
    assert named
    for path in (*named, *re.findall(r"\]\((docs/[\w/.]+)\)", README)):
        assert (ROOT / path).exists(), path


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
    of_a_client = {"SERVER", "KEY"}  # which server, and by what key: no settings of a service
    for name in set(re.findall(r"PASSERBY_([A-Z_]+)", TEXT)) - of_a_client:
        assert name.lower() in Settings.model_fields, name
