"""Real processes: killed on the way, told to stop, refused to start."""

from __future__ import annotations

import signal
import socket
import sqlite3
import threading
import time
from pathlib import Path

import httpx
import pytest
import torch

from app.commands.server import take_port
from app.errors import CommandError
from app.loading import load_encoder
from app.settings import Settings
from indexer.database.migrate import upgrade
from model.checkpoint import save_checkpoint
from model.encoder import DualEncoder
from tests.app.files import picture
from tests.app.program import program
from tests.model.conftest import TINY

PICTURES, EACH = 500, 25


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained model."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(DualEncoder(TINY).eval(), folder, recipe={}, metrics={})
    return folder


def send_pictures(url: str, acknowledged: dict[int, str], half: threading.Event) -> None:
    """Upload 500 pictures in 20 requests, until the server is gone."""
    for first in range(0, PICTURES, EACH):
        files = [
            ("files", (f"{number}.jpg", picture("red", number)))
            for number in range(first, first + EACH)
        ]
        try:
            answer = httpx.post(f"{url}/galleries/street/images", files=files, timeout=60)
        except httpx.TransportError:
            return
        assert answer.status_code == 202
        for result in answer.json()["results"]:
            acknowledged[result["image_id"]] = result["file_name"]
        if len(acknowledged) >= PICTURES // 2:
            half.set()


def test_killed_server_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    acknowledged: dict[int, str] = {}
    half = threading.Event()
    with program("serve", "--port", "0", data_dir=tmp_path) as first:
        url = first.wait_for_url()
        httpx.post(f"{url}/galleries", json={"name": "street"}).raise_for_status()
        sender = threading.Thread(target=send_pictures, args=(url, acknowledged, half))
        sender.start()
        assert half.wait(60)
        time.sleep(0.05)  # into the next request
        first.process.kill()
        sender.join()
    assert PICTURES // 2 <= len(acknowledged) < PICTURES, "it was not killed on the way"

    with program("serve", "--port", "0", data_dir=tmp_path) as second:
        url = second.wait_for_url()
        deadline = time.monotonic() + 60
        while (counts := httpx.get(f"{url}/galleries/street").json()["counts"])["pending"]:
            assert time.monotonic() < deadline, counts
            time.sleep(0.1)
        assert counts["failed"] == 0
        assert counts["searchable"] >= len(acknowledged)
        time.sleep(0.5)  # the index follows within its poll
        with httpx.Client(base_url=url) as http:
            question = {"gallery": "street", "text": "red", "limit": 1000}
            found = http.post("/search", json=question).json()["results"]
            names = {hit["image_id"]: hit["file_name"] for hit in found}
            assert {image_id: names.get(image_id) for image_id in acknowledged} == acknowledged
            for image_id, file_name in acknowledged.items():
                number = int(file_name.removesuffix(".jpg"))
                content = http.get(f"/images/{image_id}/content").content
                assert content == picture("red", number)
        code, err, took_s = second.stop(signal.SIGTERM)
    assert (code, "Traceback" in err) == (0, False), err
    assert took_s < 4


def test_server_with_a_real_model_serves_and_stops_on_ctrl_c(
    tmp_path: Path, checkpoint: Path
) -> None:
    with program("serve", "--port", "0", data_dir=tmp_path, model=checkpoint) as served:
        url = served.wait_for_url()
        ready = httpx.get(f"{url}/readyz", timeout=30)
        assert ready.json()["ready"] is True, ready.text
        httpx.post(f"{url}/galleries", json={"name": "street"}).raise_for_status()
        files = [("files", (f"{n}.jpg", picture("red", n))) for n in range(3)]
        httpx.post(f"{url}/galleries/street/images", files=files).raise_for_status()
        deadline = time.monotonic() + 30
        question = {"gallery": "street", "text": "a person in red"}
        while len(httpx.post(f"{url}/search", json=question).json()["results"]) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        code, err, took_s = served.stop(signal.SIGINT)
    assert (code, "Traceback" in err, "leaked" in err) == (0, False, False), err
    assert took_s < 6


def test_api_and_worker_run_apart(tmp_path: Path) -> None:
    with program("api", "--port", "0", data_dir=tmp_path) as api:
        url = api.wait_for_url()
        httpx.post(f"{url}/galleries", json={"name": "street"}).raise_for_status()
        file = ("files", ("a.jpg", picture("red")))
        httpx.post(f"{url}/galleries/street/images", files=[file]).raise_for_status()
        assert httpx.get(f"{url}/galleries/street").json()["counts"]["pending"] == 1
        with program("worker", data_dir=tmp_path) as worker:
            deadline = time.monotonic() + 60
            question = {"gallery": "street", "text": "red"}
            while not httpx.post(f"{url}/search", json=question).json()["results"]:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            code, err, took_s = worker.stop(signal.SIGINT)
        assert (code, "Traceback" in err) == (0, False), err
        assert took_s < 6  # 2.4 s on a busy machine; a thread that does not stop has 5 s more


def refused(tmp_path: Path, *words: str, model: Path | None = None) -> str:
    """The one line that a start was refused with."""
    with program(*words, data_dir=tmp_path, model=model) as started:
        code, _, err = started.finish()
    assert code != 0
    (line,) = err.splitlines()
    assert line.startswith("passerby: ")
    return line


def test_taken_port_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        for command in ("serve", "demo"):
            line = refused(tmp_path, command, "--port", port, model=tmp_path / "no such model")
            assert port in line
            assert "--port" in line


def test_newer_schema_is_told(tmp_path: Path) -> None:
    database = tmp_path / "passerby.db"
    upgrade(f"sqlite:///{database}")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer program" in refused(tmp_path, "serve", "--port", "0")


def test_corrupt_checkpoint_is_told(tmp_path: Path, checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    try:
        line = refused(tmp_path, "serve", "--port", "0", model=checkpoint)
    finally:
        weights.write_bytes(whole)
    assert str(checkpoint) in line


def test_unknown_model_and_device_are_told(tmp_path: Path, checkpoint: Path) -> None:
    settings = Settings(data_dir=tmp_path, model="none/such")
    with pytest.raises(CommandError, match=r"^model 'none/such': expected a checkpoint folder"):
        load_encoder(settings)
    settings = Settings(data_dir=tmp_path, model=str(checkpoint), device="abacus")
    with pytest.raises(CommandError, match=r"^PASSERBY_DEVICE: .*'abacus'"):
        load_encoder(settings)


def test_listener_leaves_small_answers_undelayed() -> None:
    """asyncio turns Nagle's algorithm off only where the socket says that it is TCP."""
    with take_port("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
