"""Another model is kept, served, rolled back from and dropped, and every search has one of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from app.access.caller import LOCAL
from app.errors import CommandError, ProblemError
from app.main import create_app
from app.models.on_record import drop_on_record
from app.models.wish import Wish
from app.settings import Settings
from app.wiring import build_services
from indexer.models.encoders import KeptEncoders
from indexer.pictures.decode import decode
from tests.app.conftest import URL, Api, assert_problem, both_databases
from tests.app.files import picture
from tests.colours import CoarseColours
from tests.conftest import ColourEncoder
from tests.indexer.steps import wait_until

MODELS = {"small": ColourEncoder(), "coarse": CoarseColours()}
FILES = {f"{colour}.png": picture(colour, suffix="PNG") for colour in ("red", "green", "blue")}
GRID, COARSE = "colour-grid", "colour-coarse"


def load(settings: Settings) -> Any:
    name = settings.model or "small"
    if name not in MODELS:
        raise CommandError(f"{name}: no checkpoint here")
    return MODELS[name]


@pytest.fixture
def api(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A service that finds both models by their names, with three pictures in `street`."""
    monkeypatch.setattr("app.wiring.load_encoder", load)
    services = build_services(settings, with_worker=True)
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        api = Api(http, services)
        api.fill(*FILES.items())
        yield api


def keep(api: Api, name: str = "coarse") -> dict[str, Any]:
    """Kept, complete and ready."""
    answer = api.post("/models", {"name": name})
    assert answer.status_code == 201, answer.text

    def is_done() -> bool:
        found = {one["name"]: one for one in api.http.get("/models").json()["models"]}[name]
        return bool(found["is_complete"] and not found["not_ready"])

    wait_until(is_done)
    made: dict[str, Any] = answer.json()
    return made


def scores_alone(model: str, text: str) -> dict[str, float]:
    """What this model alone makes of the pictures."""
    (encoder,) = [one for one in MODELS.values() if one.fingerprint == model]
    pixels = [decode(io.BytesIO(content), encoder.image_size) for content in FILES.values()]
    image_ND = encoder.encode_image(np.stack(pixels)).astype(np.float16).astype(np.float32)
    scores = image_ND @ encoder.encode_text([text])[0]
    return dict(zip(FILES, scores.tolist(), strict=True))


def require_scores_of(api: Api, model: str, text: str = "red over blue") -> None:
    found = api.search(text=text).json()
    assert found["model"] == model
    scores = {hit["file_name"]: hit["score"] for hit in found["results"]}
    assert scores == pytest.approx(scores_alone(model, text), abs=1e-5)


@both_databases
def test_switch_roll_back_and_drop(api: Api) -> None:
    require_scores_of(api, GRID)
    first = api.search(text="red", limit=1).json()
    keep(api)
    require_scores_of(api, GRID)
    served = api.post(f"/models/{COARSE}/serve", None).json()
    assert (served["is_served"], served["embedded"], served["missing"]) == (True, 3, 0)
    require_scores_of(api, COARSE)
    alike = api.search(image_id=first["results"][0]["image_id"]).json()
    assert (alike["model"], len(alike["results"])) == (COARSE, 2)

    second = api.search(text="red", limit=1, cursor=first["next_cursor"]).json()
    assert second["model"] == GRID, "a page goes on in the ranking that it began in"
    ranked = sorted(scores_alone(GRID, "red").values(), reverse=True)
    assert second["results"][0]["score"] == pytest.approx(ranked[1], abs=1e-5)

    back = api.http.post("/models/rollback", params={"served": COARSE}).json()
    assert (back["fingerprint"], back["is_served"]) == (GRID, True)
    again = api.http.post("/models/rollback", params={"served": COARSE}).json()
    assert again["fingerprint"] == GRID, "sent twice, done once"
    require_scores_of(api, GRID)
    api.post(f"/models/{COARSE}/serve", None).raise_for_status()
    assert_problem(api.http.delete(f"/models/{COARSE}"), 409, "model_served")
    assert api.http.delete(f"/models/{GRID}").status_code == 204
    require_scores_of(api, COARSE)
    gone = api.search(text="red", limit=1, cursor=first["next_cursor"])
    assert_problem(gone, 409, "cursor_outdated")
    assert_problem(api.http.post("/models/rollback"), 409, "no_previous_model")
    told = [row.deed.what for row in api.services.catalogue.audit.rows(0)]
    assert [what for what in told if what and what.startswith("models: ")] == [
        f"models: keep {COARSE} (coarse)",
        f"models: serve {COARSE}",
        f"models: roll back to {GRID}",
        f"models: serve {COARSE}",
        f"models: drop {GRID}",
    ]


def test_deleted_picture_is_found_by_no_model(api: Api) -> None:
    keep(api)
    first = api.search(text="red", limit=1).json()
    image_id = api.search(text="blue", limit=1).json()["results"][0]["image_id"]
    api.post(f"/models/{COARSE}/serve", None).raise_for_status()
    assert api.http.delete(f"/images/{image_id}").status_code == 204
    assert len(api.search(text="red").json()["results"]) == 2
    rest = api.search(text="red", limit=5, cursor=first["next_cursor"]).json()
    assert (rest["model"], len(rest["results"])) == (GRID, 1)


def test_refusals_say_what_is_wrong(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_problem(api.post("/models/none/serve", None), 404, "model_not_kept")
    assert_problem(api.http.delete("/models/none"), 404, "model_not_kept")
    problem = assert_problem(api.post("/models", {"name": "gone"}), 422, "model_unloadable")
    assert "gone: no checkpoint here" in problem["detail"]
    code = {"name": "python:tests.colours:CoarseColours"}
    assert_problem(api.post("/models", code), 422, "validation_failed")
    monkeypatch.setattr(KeptEncoders, "follow", lambda self: None)  # no worker hears of it
    api.post("/models", {"name": "coarse"}).raise_for_status()
    problem = assert_problem(api.post(f"/models/{COARSE}/serve", None), 409, "model_incomplete")
    assert "some 3 pictures lack its vector" in problem["detail"]
    page = api.http.get("/", params={"gallery": "street", "text": "red"}).text
    assert f"on its way: model {COARSE}, 0 of 3 pictures" in page
    forced = api.http.post(f"/models/{COARSE}/serve", params={"force": True})
    assert forced.json()["is_served"]


def test_model_that_cannot_be_loaded_here_is_told_and_not_served(api: Api) -> None:
    api.services.catalogue.models.keep("elsewhere", "gone", 13)
    api.services.models.nudge()
    wait_until(lambda: "elsewhere" in api.services.models.states())
    ready = api.http.get("/readyz").json()
    assert ready["models"] == {GRID: "served", "elsewhere": "can't be loaded, see the log"}
    (unready,) = [one for one in api.http.get("/models").json()["models"] if one["name"] == "gone"]
    assert len(unready["not_ready"]) == 1


def test_model_that_the_setting_names_is_not_dropped(api: Api) -> None:
    catalogue = api.services.catalogue
    catalogue.models.keep("elsewhere", "/models/elsewhere", 13)
    with pytest.raises(ProblemError, match="PASSERBY_MODEL names /models/elsewhere"):
        drop_on_record(catalogue, LOCAL, "elsewhere", "/models/elsewhere")
    drop_on_record(catalogue, LOCAL, "elsewhere", "small")


def test_setting_is_served_by_itself_once(api: Api) -> None:
    keep(api)
    catalogue, models = api.services.catalogue, api.services.catalogue.models
    wish = Wish(catalogue, COARSE)
    wish.grant(models.all())
    assert models.find(COARSE).is_served
    models.roll_back()
    wish.grant(models.all())
    assert models.find(GRID).is_served, "its wish was granted before"
    Wish(catalogue, COARSE).grant(models.all())
    assert models.find(GRID).is_served, "somebody chose against it"
