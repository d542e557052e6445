"""Maps over HTTP: drawn, followed, looked at on record; what comes and goes meanwhile."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.maps import points as points_module
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from indexer.access.key_ring import SCOPES
from tests.app.conftest import URL, Api, assert_problem, both_databases
from tests.app.files import TIMED
from tests.conftest import ColourEncoder, Pictures

MAP = "/galleries/street/map"


def noise(*seeds: int) -> list[tuple[str, bytes]]:
    return [(f"{seed}.png", Pictures().noise(seed)) for seed in seeds]


def draw(api: Api, **wanted: Any) -> Any:
    """Ask for a map of `street` and wait for its end; what is told of it then."""
    response = api.post(MAP, wanted)
    assert response.status_code == 202, response.text
    assert response.json()["state"] in ("waiting", "running")
    deadline = time.monotonic() + 90
    while (told := api.http.get(MAP).json())["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    return told


def look(api: Api, **asked: str) -> Any:
    response = api.http.get(f"{MAP}/points", params=asked)
    assert response.status_code == 200, response.text
    return response.json()


def deeds(api: Api) -> list[tuple[Any, ...]]:
    rows = [row.deed for row in api.services.catalogue.audit.rows()]
    return [
        (deed.action, deed.gallery, deed.what, deed.result_count, deed.reason)
        for deed in rows
        if (deed.what or "").startswith("map")
    ]


@both_databases
def test_map_is_drawn_and_looked_at_on_record(api: Api) -> None:
    metadata = {"1.png": {"camera": "south", "captured_at": TIMED}, "2.png": {"camera": "north"}}
    ids = api.fill(*noise(*range(1, 11)), metadata=metadata)
    assert api.http.get(MAP).json()["state"] == "none"
    assert_problem(api.http.get(f"{MAP}/points"), 409, "map_not_drawn")
    told = draw(api, perplexity=5, seed=3)
    assert (told["state"], told["progress"], told["problem"]) == ("done", 1.0, None)
    assert (told["drawn"]["pictures"], told["drawn"]["seed"]) == (10, 3)
    assert told["model"] == ColourEncoder.fingerprint and told["came_since"] == 0

    found = look(api)
    assert found["ids"] == ids and found["cameras"] == ["north", "south"]
    assert found["camera"] == [1, 0, *[-1] * 8]
    assert found["captured"] == [1777636800, *[None] * 9]
    assert all(-1 <= place <= 1 for place in found["x"] + found["y"])
    assert found["person"] is None, "nobody measured this model's threshold"
    assert found["came_since"] == [] and found["left_out"] == 0
    number = told["drawn"]["id"]
    assert deeds(api) == [("view", "street", f"map {number}", 10, None)]


def test_points_are_sent_small_and_once(api: Api) -> None:
    api.fill(*noise(*range(10)))
    draw(api)
    plain = api.http.get(f"{MAP}/points", headers={"accept-encoding": "identity"})
    packed = api.http.get(f"{MAP}/points")
    assert packed.headers["content-encoding"] == "gzip" and packed.content == plain.content
    assert packed.headers["vary"] == "Accept-Encoding"
    again = {"if-none-match": packed.headers["etag"]}
    unchanged = api.http.get(f"{MAP}/points", headers=again)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert len(deeds(api)) == 3, "a look at what one has already is a look"
    api.fill(*noise(11))
    assert api.http.get(f"{MAP}/points", headers=again).status_code == 200


@both_databases
def test_map_keeps_up_with_what_comes_and_goes(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    old = api.fill(*noise(*range(10)))
    draw(api)
    before = look(api)
    new = api.fill(*noise(20, 21, 22))
    assert api.http.get(MAP).json()["came_since"] == 3
    found = look(api)
    assert found["ids"] == old + new and found["came_since"] == new
    assert found["x"][:10] == before["x"]

    assert api.http.delete(f"/images/{old[0]}").status_code == 204
    assert api.http.delete(f"/images/{new[0]}").status_code == 204
    assert look(api)["ids"] == [*old[1:], *new[1:]]
    monkeypatch.setattr(points_module, "MAX_CAME_SINCE", 1)
    found = look(api)
    assert found["ids"] == [*old[1:], new[1]] and found["left_out"] == 1

    told = draw(api)
    assert told["drawn"]["pictures"] == 11 and told["came_since"] == 0
    assert look(api)["came_since"] == []


def test_map_knows_people_where_the_model_does(settings: Settings) -> None:
    settings = settings.model_copy(update={"person_cosine": 0.999})
    services = build_services(settings, with_worker=True, encoder=ColourEncoder())
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        api = Api(http, services)
        same = [(f"{n}.png", Pictures().plain("red", (32, 64 + n), "PNG")) for n in range(3)]
        api.fill(*same, *noise(*range(7)))
        draw(api)
        person = look(api)["person"]
        assert person[:3] == [0, 0, 0] and len(set(person)) == 8


@pytest.fixture
def idle(settings: Settings, encoder: ColourEncoder) -> Services:
    return build_services(settings, with_worker=False, encoder=encoder)


def test_map_waits_for_a_worker_and_is_cancelled(settings: Settings, idle: Services) -> None:
    with TestClient(create_app(settings, idle), base_url=URL) as http:
        idle.catalogue.create_gallery("street")
        api = Api(http, idle)
        assert_problem(http.post(f"{MAP}/cancel"), 409, "map_ended")
        first = api.post(MAP, {}).json()
        assert first["state"] == "waiting" and api.post(MAP, {"seed": 1}).json() == first
        assert http.post(f"{MAP}/cancel").json()["state"] == "cancelled"
        assert api.post(MAP, {}).json()["state"] == "waiting"


def test_map_of_an_empty_gallery_says_why(api: Api) -> None:
    told = draw(api)
    assert told["problem"] == {
        "code": "no_pictures",
        "reason": "the gallery has no searchable picture",
    }
    assert_problem(api.http.get(f"{MAP}/points"), 409, "map_not_drawn")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"perplexity": 1}, "perplexity"),
        ({"perplexity": "NaN"}, "perplexity"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"speed": 1}, "speed"),
    ],
)
def test_wrong_wishes_are_named(shared_api: Api, body: Any, field: str) -> None:
    problem = assert_problem(shared_api.post(MAP, body), 422, "validation_failed")
    assert problem["errors"][0]["field"] == field


def test_map_of_no_gallery(shared_api: Api) -> None:
    for method, path in (("GET", ""), ("GET", "/points"), ("POST", "/cancel")):
        response = shared_api.http.request(method, f"/galleries/nowhere/map{path}")
        assert_problem(response, 404, "gallery_not_found")
    assert_problem(shared_api.post("/galleries/nowhere/map", {}), 404, "gallery_not_found")
    assert shared_api.http.get("/map?gallery=nowhere").status_code == 404
    assert shared_api.http.post("/map?gallery=nowhere").status_code == 404


def test_reason_is_asked_for(api: Api) -> None:
    api.fill(*noise(*range(10)))
    draw(api)
    assert api.http.patch("/galleries/street", json={"reason_required": True}).status_code == 200
    assert_problem(api.http.get(f"{MAP}/points"), 422, "reason_required")
    assert deeds(api) == []
    look(api, reason="case 7")
    assert [deed[4] for deed in deeds(api)] == ["case 7"]
    page = api.http.get("/map?gallery=street&reason=case+8")
    assert "/galleries/street/map/points?reason=case%208" in page.text


def test_keys_see_maps_of_their_galleries_alone(api: Api) -> None:
    api.fill(*noise(*range(10)))
    draw(api)
    ring = api.services.catalogue.keys
    api.services.catalogue.create_gallery("yard")
    bound, _ = ring.create("bound", SCOPES, galleries=["yard"])
    own, _ = ring.create("own", ["search"], galleries=["street"])
    for secret, status in ((bound, 404), (own, 200)):
        headers = {"authorization": f"Bearer {secret}"}
        for path in (MAP, f"{MAP}/points", "/map?gallery=street"):
            assert api.http.get(path, headers=headers).status_code == status, path
        response = api.http.post("/map?gallery=street", headers=headers, follow_redirects=False)
        assert response.status_code == (404 if status == 404 else 303)


def test_page_keeps_the_search_from_results_to_map_and_back(api: Api) -> None:
    api.fill(*noise(*range(10)), metadata={"1.png": {"camera": "gate"}})
    query = "text=red&amp;gallery=street&amp;camera=gate"
    results = api.http.get("/?text=red&gallery=street&camera=gate").text
    assert f'id="on-map" href="/map?{query}&amp;on=map"' in results
    page = api.http.get("/map?text=red&gallery=street&camera=gate&on=map").text
    assert f'href="/?{query}"' in page
    assert "No map of street yet" in page and "1 best match<" in page
    picture = api.http.get("/pictures/1?from=text%3Dred%26gallery%3Dstreet%26on%3Dmap").text
    assert 'href="/map?text=red&amp;gallery=street&amp;on=map"' in picture
    assert api.http.get(f"/map?gallery=street&text={'x' * 3000}").status_code == 422
