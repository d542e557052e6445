"""Every command of docs/operate.md, literally, and what it is there for."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

import pytest

from tests.app.files import picture
from tests.compose.engine import Engine
from tests.compose.images import ROOT
from tests.compose.pages import sections

SECTIONS = {title: blocks for title, blocks in sections("docs/operate.md").items() if blocks}
URL = "http://127.0.0.1:8000"
# Something always comes and goes in storage, until told otherwise.
BUSY = "until test -e /tmp/idle; do touch /pictures/.x && rm /pictures/.x; done"
IDLE = "docker compose exec -T api touch /tmp/idle"
RUN_APART = {"Backup", "Restore", "Keys", "Secrets", "The index built anew"}


class Desk:
    """Somebody who uses what is up."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def secret(self, name: str) -> str:
        """What is in the file."""
        return (self.engine.folder / "secrets" / name).read_text().strip()

    def call(self, path: str, *words: str) -> Any:
        """The answer. Fails where it is a problem."""
        key = self.secret("passerby_admin_key")
        command = ["curl", "-sS", "--fail-with-body", "-H", f"Authorization: Bearer {key}", *words]
        return json.loads(self.engine.shell(shlex.join([*command, URL + path])) or "{}")

    def status(self, path: str, key: str | None = None) -> int:
        """Of the answer."""
        key = key or self.secret("passerby_admin_key")
        command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}"]
        command += ["-H", f"Authorization: Bearer {key}", URL + path]
        return int(self.engine.shell(shlex.join(command)))

    def delete(self, image_id: int) -> None:
        self.call(f"/images/{image_id}", "-X", "DELETE")

    def post(self, path: str, body: object) -> Any:
        return self.call(path, "-H", "Content-Type: application/json", "-d", json.dumps(body))

    def upload(self, seeds: range) -> list[int]:
        """The ids of new pictures, which are searchable when this returns."""
        files: list[str] = []
        for seed in seeds:
            (self.engine.folder / f"{seed}.jpg").write_bytes(picture("red", seed))
            files += ["-F", f"files=@{seed}.jpg"]
        answer = self.call("/galleries/street/images", *files)
        self.wait()
        return [one["image_id"] for one in answer["results"]]

    def wait(self) -> None:
        """Until nothing is pending."""
        deadline = time.monotonic() + 60
        while self.call("/galleries/street")["counts"]["pending"]:
            assert time.monotonic() < deadline, self.engine.logs()
            time.sleep(0.2)

    def found(self) -> set[int]:
        """The ids of all that a search finds."""
        asked = {"gallery": "street", "text": "a person in red", "limit": 100}
        return {one["image_id"] for one in self.post("/search", asked)["results"]}


# Nothing here is about the model; this one starts quickly.
MODEL = f"PASSERBY_MODEL=python:tests.conftest:ColourEncoder\nPYTHONPATH={ROOT}\n"


@pytest.fixture(scope="module")
def desk(engine: Engine) -> Desk:
    """All is up, and a gallery has six pictures."""
    (engine.folder / ".env").write_text(MODEL)
    engine.shell("docker/make-secrets.sh && docker compose up -d --wait")
    desk = Desk(engine)
    desk.post("/galleries", {"name": "street"})
    assert len(desk.upload(range(6))) == 6
    return desk


@pytest.mark.parametrize("section", [name for name in SECTIONS if name not in RUN_APART])
def test_commands_of_section_run(desk: Desk, section: str) -> None:
    for block in SECTIONS[section]:
        desk.engine.shell(block)
    assert len(desk.found()) == 6


def test_restored_backup_has_all_but_what_was_deleted_since(desk: Desk) -> None:
    shell = desk.engine.shell
    first, *others = sorted(desk.found())
    backup, copy_ledger = SECTIONS["Backup"]
    stop_and_restore, restore_storage, start = SECTIONS["Restore"]
    shell(f"docker compose exec -T api sh -c '{BUSY}' &\n{backup}\n{IDLE}\nwait")
    later = desk.upload(range(10, 12))
    desk.delete(first)
    shell(copy_ledger)

    shell("docker compose down --volumes")
    shell(stop_and_restore)
    shell(restore_storage)
    shell(start)
    assert desk.found() == set(others)
    assert shell(f"docker compose exec -T api passerby prove-deleted {first}")
    assert desk.status(f"/images/{first}") == desk.status(f"/images/{later[0]}") == 404
    for image_id in others:
        assert desk.status(f"/images/{image_id}/content") == 200
    assert len(desk.upload(range(10, 12))) == 2


def test_keys_are_made_and_end(desk: Desk) -> None:
    (block,) = SECTIONS["Keys"]
    said = desk.engine.shell(block)
    assert said.startswith("passerby_") and "desk-7" in said


def test_secrets_are_changed_while_it_runs(desk: Desk) -> None:
    password, admin_key = SECTIONS["Secrets"]
    before = desk.secret("passerby_database_password"), desk.secret("passerby_admin_key")
    found = desk.found()
    desk.engine.shell(password)
    assert desk.found() == found
    said = desk.engine.shell(admin_key)
    assert "Made key admin-2." in said
    assert desk.secret("passerby_database_password") != before[0]
    assert desk.found() == found  # by the new key
    assert desk.status("/galleries", key=before[1]) == 401


def test_index_is_built_anew(desk: Desk) -> None:
    found = desk.found()
    (block,) = SECTIONS["The index built anew"]
    desk.engine.shell(block)
    assert desk.found() == found


def test_no_section_is_left_out() -> None:
    assert set(SECTIONS) >= RUN_APART
