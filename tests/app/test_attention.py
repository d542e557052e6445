"""Why a picture fits a description, over HTTP, with a real if tiny model."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from app.main import create_app
from app.pictures.explanations import Explanation, Explanations
from app.pictures.overlay import draw_overlay, overlay_size
from app.settings import Settings
from app.wiring import build_services, build_worker
from indexer.pictures.decode import decode
from indexer.records import Box
from model.encoder import DualEncoder
from model.runtime import Runtime
from tests.app.conftest import URL, Api, assert_problem
from tests.conftest import Pictures
from tests.model.conftest import TINY

TEXT = "A man, in a red T-shirt."
BOX = [8, 16, 40, 60]


@pytest.fixture(scope="module")
def model() -> Runtime:
    torch.manual_seed(0)
    return Runtime(DualEncoder(TINY).eval())


@pytest.fixture
def explaining(settings: Settings, model: Runtime) -> Iterator[Api]:
    """A service with that model and a gallery `street`; nothing is embedded by itself."""
    services = build_services(settings, with_worker=False, encoder=model)
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        yield Api(http, services)


def work(api: Api, model: Runtime) -> None:
    services = api.services
    while build_worker(services.settings, services.catalogue, services.store, model).run_once():
        pass
    services.model.live_index.catch_up()


def test_attention_is_that_of_the_pixels_which_were_embedded(
    explaining: Api, model: Runtime, pictures: Pictures
) -> None:
    file = pictures.noise(1, size=(64, 96))
    explaining.upload(("a.png", file), metadata={"a.png": {"box": BOX}})
    work(explaining, model)
    found = explaining.http.get("/images/1/attention", params={"text": f" {TEXT}\n"}).json()

    expected = model.explain(decode(io.BytesIO(file), model.image_size, Box(*BOX)), TEXT)
    assert found["text"] == TEXT
    assert (found["grid"]["rows"], found["grid"]["columns"]) == (4, 2)
    np.testing.assert_allclose(found["grid"]["values"], expected.grid_RC, atol=1e-3)
    whole = model.explain(decode(io.BytesIO(file), model.image_size), TEXT)
    assert np.abs(whole.grid_RC - expected.grid_RC).max() > 0.01
    assert [word["word"] for word in found["words"]] == ["A", "man", "in", "a", "red", "T-shirt"]
    assert all(TEXT[word["start"] : word["end"]] == word["word"] for word in found["words"])
    assert max(word["weight"] for word in found["words"]) == 1
    assert (found["box"], found["model"], found["truncated"]) == (BOX, model.fingerprint, False)
    (look,) = explaining.services.catalogue.audit.newest(1)
    assert look.deed.what == f"attention: {TEXT}"
    (result,) = explaining.search(text=TEXT).json()["results"]
    assert found["score"] == pytest.approx(result["score"], abs=1e-3)


def test_overlay_is_a_picture_of_the_grid_over_the_box(
    explaining: Api, model: Runtime, pictures: Pictures
) -> None:
    file = pictures.noise(1, size=(64, 96))
    explaining.upload(("a.png", file), metadata={"a.png": {"box": BOX}})
    work(explaining, model)
    found = explaining.http.get("/images/1/attention", params={"text": TEXT}).json()
    answer = explaining.http.get(found["overlay_url"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert "sandbox" in answer.headers["content-security-policy"]
    with Image.open(io.BytesIO(answer.content)) as overlay:
        assert (overlay.mode, overlay.size) == ("RGBA", (40, 60))
        light = np.asarray(overlay.convert("L").resize((2, 4), Image.Resampling.BOX))
    assert light.argmax() == np.argmax(found["grid"]["values"])

    etag = answer.headers["etag"]
    again = explaining.http.get(found["overlay_url"], headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    small = explaining.http.get("/images/1/thumbnail").headers["etag"]
    again = explaining.http.get("/images/1/thumbnail", headers={"If-None-Match": f'"x", {small}'})
    assert again.status_code == 304
    other = f"/images/1/attention.png?text={quote('a woman')}"
    assert explaining.http.get(other, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("suffix", ["", ".png"])
def test_what_can_not_be_explained_is_told(
    suffix: str, explaining: Api, model: Runtime, pictures: Pictures
) -> None:
    def ask(image: object, **params: str) -> tuple[str, str]:
        answer = explaining.http.get(f"/images/{image}/attention{suffix}", params=params)
        problem = assert_problem(answer, answer.status_code, answer.json()["code"])
        return problem["code"], problem["detail"]

    assert ask(7, text="a man")[0] == "image_not_found"
    assert ask("x", text="a man")[0] == "validation_failed"
    damaged = bytearray(pictures.noise(1, size=(200, 300)))
    damaged[len(damaged) // 2 :: 7] = bytes(len(damaged[len(damaged) // 2 :: 7]))
    damaged[-12:] = pictures.noise(1)[-12:]  # it ends as a PNG does
    explaining.upload(("fine.png", pictures.noise(2)), ("damaged.png", bytes(damaged)))
    code, detail = ask(1, text="a man")
    assert (code, detail) == (
        "image_not_searchable",
        "Image 1 is pending: no search can find it.",
    )
    work(explaining, model)
    assert ask(2, text="a man") == (
        "image_not_searchable",
        "Image 2 is failed: no search can find it.",
    )
    for params in ({}, {"text": ""}, {"text": " \x01 "}, {"text": "x" * 2001}):
        code, detail = ask(1, **params)
        assert code == "validation_failed"
        assert detail.startswith("text: ")
    refused = explaining.search(text="x" * 2001).json()
    assert refused["detail"] == ask(1, text="x" * 2001)[1]

    explaining.services.store.delete(explaining.services.catalogue.image(1).sha256)
    assert ask(1, text="a man")[0] == "picture_missing"


def test_model_that_can_not_tell_says_so(shared_api: Api) -> None:
    for suffix in ("", ".png"):
        answer = shared_api.http.get(f"/images/1/attention{suffix}", params={"text": "red"})
        assert_problem(answer, 501, "attention_unavailable")


def test_words_that_were_not_read_weigh_nothing(
    explaining: Api, model: Runtime, pictures: Pictures
) -> None:
    explaining.upload(("a.png", pictures.noise(1)))
    work(explaining, model)
    found = explaining.http.get("/images/1/attention", params={"text": "red " * 100}).json()
    assert found["truncated"]
    weights = [word["weight"] for word in found["words"]]
    assert len(weights) == 100
    assert max(weights[:75]) == 1
    assert max(weights[75:]) == 0


class Counting:
    """A model that counts how often it is asked, and never twice at a time."""

    fingerprint = "counting"
    image_size = (32, 16)
    can_explain = True

    def __init__(self, model: Runtime) -> None:
        self._model = model
        self._busy = threading.Lock()
        self.asked: list[str] = []

    def explain(self, pixels_HW3: NDArray[np.uint8], text: str) -> Explanation:
        assert self._busy.acquire(blocking=False)
        self.asked.append(text)
        made = self._model.explain(pixels_HW3, text)
        self._busy.release()
        return made


def test_each_match_is_explained_once_while_it_is_remembered(
    explaining: Api, model: Runtime, pictures: Pictures
) -> None:
    explaining.upload(("a.png", pictures.noise(1)))
    services = explaining.services
    image = services.catalogue.image(1)
    counting = Counting(model)
    explanations = Explanations(counting, size=2)
    texts = ["a man", "a woman"] * 8
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: explanations.get(image, text, services.store), texts))
    assert sorted(counting.asked) == ["a man", "a woman"]
    assert found[0] is found[2] is not found[1]
    explanations.get(image, "a man", services.store)
    explanations.get(image, "a third", services.store)
    explanations.get(image, "a man", services.store)
    assert counting.asked[2:] == ["a third"]
    explanations.get(image, "a woman", services.store)
    assert counting.asked[3:] == ["a woman"]


def test_overlay_brightens_with_weight_and_stays_small() -> None:
    ramp = np.linspace(0, 1, 50, dtype=np.float32)[None].repeat(4, axis=0)
    with Image.open(io.BytesIO(draw_overlay(ramp))) as overlay:
        light = np.asarray(overlay.convert("L"))[0].astype(int)
        opacity = np.asarray(overlay)[0, :, 3]
    assert (np.diff(light) >= 0).all()
    assert light[-1] - light[0] > 200
    assert 100 < opacity.min() < opacity.max() < 200
    assert overlay_size(4000, 3000) == (512, 384)
    assert overlay_size(3, 6000) == (1, 512)
    assert overlay_size(64, 192) == (64, 192)
