"""Every route with no key, a wrong one, one that ended, each scope, and another gallery's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import update

from app.access.rules import ACCESS, Access, needs
from app.commands.server import require_keys
from app.errors import CommandError
from app.main import create_app
from app.settings import Settings
from app.wiring import build_services
from indexer.access.audit_log import Deed
from indexer.access.key_ring import SCOPES, Scope
from indexer.imports.jobs import ImportRequest
from indexer.tables import keys, request_counts
from tests.app.conftest import URL, Api, assert_problem
from tests.app.files import picture
from tests.conftest import ColourEncoder
from tests.detector import street
from tests.indexer.steps import add_frame

GUARDED = [(route, access) for route, access in ACCESS.items() if access.scopes is not None]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service with two galleries, a picture and a frame in `street`, and keys of every kind."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("guarded"), database_url=None)
    services = build_services(settings, with_worker=True, encoder=ColourEncoder())
    with TestClient(create_app(settings, services), base_url=URL, follow_redirects=False) as http:
        for gallery in ("street", "yard"):
            services.catalogue.create_gallery(gallery)
        Api(http, services).fill(("red.jpg", picture("red")))
        asked = ImportRequest("folder", "/nowhere", "nobody", "")
        job, _ = services.catalogue.imports.create("street", asked)
        services.catalogue.imports.cancel(job.id)
        add_frame(services.catalogue, services.store, street(), "street")
        deed = Deed(who="ops", action="case")
        case = services.catalogue.cases.create("street", "Harbour", "", deed)
        services.catalogue.cases.exhibits.add(case.id, 1, deed)
        yield Api(http, services)


@pytest.fixture(scope="module")
def secrets(guarded: Api) -> dict[str, str]:
    """By name: each scope alone, `all`, and `all-yard`, bound to the other gallery."""
    ring = guarded.services.catalogue.keys
    made = {scope: ring.create(scope, [scope])[0] for scope in SCOPES}
    made["all"] = ring.create("all", SCOPES)[0]
    made["all-yard"] = ring.create("all-yard", SCOPES, galleries=["yard"])[0]
    for ended in ("expired", "revoked"):
        made[ended] = ring.create(ended, SCOPES)[0]
    ring.revoke("revoked")
    with guarded.services.catalogue.database.write() as connection:
        past = {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}
        connection.execute(update(keys).where(keys.c.name == "expired").values(past))
    made["wrong"] = made["all"][:-1] + ("A" if made["all"][-1] != "A" else "B")
    return made


def ask(api: Api, route: tuple[str, str], secret: str | None, image_id: int = 1) -> Response:
    """A request for this route that its key alone decides about; bodies are not valid."""
    method, path = route
    path = path.replace("{gallery}", "street").replace("{image_id}", str(image_id))
    path = path.replace("{import_id}", "1").replace("{frame_id}", "1")
    path = path.replace("{case_id}", "1").replace("{exhibit_id}", "1")
    path = path.replace("{image}", str(image_id))
    path = (
        path.replace("{name}", "nobody").replace("{code}", "x").replace("{path:path}", "mark.svg")
    )
    headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
    # Deleting must not succeed: the others need what there is.
    if method == "DELETE" and "nobody" not in path:
        path = path.replace("street", "no-such").replace(str(image_id), "999")
    return api.http.request(method, path, headers=headers)


def ids(case: object) -> str | None:
    return "-".join(case) if isinstance(case, tuple) and isinstance(case[0], str) else None


@pytest.mark.parametrize(("route", "access"), GUARDED, ids=ids)
def test_route_opens_to_its_scopes_alone(
    guarded: Api, secrets: dict[str, str], route: tuple[str, str], access: Access
) -> None:
    for bad in (None, "wrong", "expired", "revoked"):
        response = ask(guarded, route, None if bad is None else secrets[bad])
        if access.is_page:
            assert response.status_code == 303
            assert response.headers["location"].startswith("/login?next=%2F")
        else:
            assert_problem(response, 401, "key_missing" if bad is None else "key_refused")
            assert response.headers["www-authenticate"] == "Bearer"
    assert access.scopes is not None
    for scope in SCOPES:
        status = ask(guarded, route, secrets[scope]).status_code
        if scope in access.scopes:
            assert status not in (401, 403), route
        else:
            assert status == 403, route


@pytest.mark.parametrize(
    ("route", "access"),
    [case for case in GUARDED if "_id}" in case[0][1] or "{gallery}" in case[0][1]],
    ids=ids,
)
def test_other_gallery_is_not_there(
    guarded: Api, secrets: dict[str, str], route: tuple[str, str], access: Access
) -> None:
    response = ask(guarded, route, secrets["all-yard"])
    assert response.status_code == 404, response.text
    assert ask(guarded, route, secrets["all"]).status_code != 404 or route[0] == "DELETE"


@pytest.mark.parametrize("spelled", ["+1", "%201", "1%0a", "1.0", "0" * 30 + "1", "0", "x"])
def test_other_gallery_is_not_reached_by_an_id_spelled_oddly(
    guarded: Api, secrets: dict[str, str], spelled: str
) -> None:
    headers = {"authorization": f"Bearer {secrets['all-yard']}"}
    for view in ("", "/content", "/thumbnail", "/attention?text=red"):
        response = guarded.http.get(f"/images/{spelled}{view}", headers=headers)
        assert_problem(response, 422, "validation_failed")
    assert guarded.http.get(f"/pictures/{spelled}", headers=headers).status_code == 422


@pytest.mark.parametrize(
    "route", [route for route, access in GUARDED if access.is_whole], ids="-".join
)
def test_whole_service_is_closed_to_keys_of_some_galleries(
    guarded: Api, secrets: dict[str, str], route: tuple[str, str]
) -> None:
    assert (
        "all galleries"
        in assert_problem(ask(guarded, route, secrets["all-yard"]), 403, "scope_missing")["detail"]
    )


def test_admin_of_a_gallery_makes_no_key_of_another(guarded: Api, secrets: dict[str, str]) -> None:
    headers = {"authorization": f"Bearer {secrets['all-yard']}"}
    known = guarded.services.catalogue.keys.all()
    for galleries in (None, ["street"], ["yard"]):
        body = {"name": "more", "scopes": ["search"], "galleries": galleries}
        response = guarded.http.post("/keys", json=body, headers=headers)
        assert_problem(response, 403, "scope_missing")
    assert_problem(guarded.http.delete("/keys/all", headers=headers), 403, "scope_missing")
    assert guarded.services.catalogue.keys.all() == known


def test_every_route_is_listed_and_every_entry_is_a_route(guarded: Api) -> None:
    app = create_app(guarded.services.settings, guarded.services)
    found = set()
    for context in iter_route_contexts(app.routes):
        path, methods = context.path, context.methods or {"GET"}
        assert path is not None
        if path == "/static":
            path = "/static/{path:path}"
        found |= {(method, path) for method in methods if method != "HEAD"}
    assert found == set(ACCESS)


def test_route_that_nobody_listed_is_not_there(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=None)
    services = build_services(settings, with_worker=False, encoder=ColourEncoder())
    app = create_app(settings, services)

    @app.get("/forgotten")
    def forgotten() -> str:
        return "secret"

    with TestClient(app, base_url=URL) as http:
        assert_problem(http.get("/forgotten"), 404, "route_not_found")
        assert_problem(http.put("/search"), 405, "method_not_allowed")
        assert http.put("/search").headers["allow"] == "POST"


def test_search_stays_in_the_galleries_of_the_key(guarded: Api, secrets: dict[str, str]) -> None:
    headers = {"authorization": f"Bearer {secrets['all-yard']}"}
    for body in (
        {"gallery": "street", "text": "red"},
        {"gallery": "street", "image_id": 1},
    ):
        response = guarded.http.post("/search", json=body, headers=headers)
        assert_problem(response, 404, "gallery_not_found")
    likeness = {"gallery": "yard", "image_id": 1}
    response = guarded.http.post("/search", json=likeness, headers=headers)
    assert_problem(response, 404, "image_not_found")
    listed = guarded.http.get("/galleries", headers=headers).json()["galleries"]
    assert [gallery["name"] for gallery in listed] == ["yard"]
    assert "street" not in guarded.http.get("/", headers=headers).text
    response = guarded.http.get("/?gallery=street&text=red", headers=headers)
    assert response.status_code == 404
    made = guarded.http.post("/galleries", json={"name": "third"}, headers=headers)
    assert_problem(made, 404, "gallery_not_found")


def test_body_is_not_read_before_the_key(guarded: Api, secrets: dict[str, str]) -> None:
    del secrets

    def endless() -> Iterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    response = guarded.http.post("/galleries/street/images", content=endless())
    assert_problem(response, 401, "key_missing")


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {} {}", "bearer  x"]
)
def test_odd_authorization_is_refused(guarded: Api, secrets: dict[str, str], given: str) -> None:
    header = given.format(secrets["all"], secrets["all"])
    response = guarded.http.get("/galleries", headers={"authorization": header})
    assert_problem(response, 401, "key_refused")


def test_answers_to_keys_are_for_nobody_else(guarded: Api, secrets: dict[str, str]) -> None:
    headers = {"authorization": f"Bearer {secrets['all']}"}
    response = guarded.http.get("/galleries", headers=headers)
    assert response.headers["cache-control"] == "private, no-store"
    assert "Authorization" in response.headers["vary"]


def test_last_key_revoked_leaves_the_doors_locked(api: Api) -> None:
    assert api.http.get("/galleries").status_code == 200
    ring = api.services.catalogue.keys
    ring.create("only", ["admin"])
    ring.revoke("only")
    assert_problem(api.http.get("/galleries"), 401, "key_missing")
    assert api.http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "given", [{"public_url": "https://search.example.org"}, {"host_names": ["search.example.org"]}]
)
def test_service_with_a_public_name_asks_for_keys(
    tmp_path: Path, encoder: ColourEncoder, given: dict[str, object]
) -> None:
    settings = Settings(data_dir=tmp_path, database_url=None, **given)  # type: ignore[arg-type]
    services = build_services(settings, with_worker=False, encoder=encoder)
    with TestClient(create_app(settings, services), base_url=URL) as http:
        assert_problem(http.get("/galleries"), 401, "key_missing")
    with pytest.raises(CommandError, match=r"search\.example\.org is reachable by others"):
        require_keys(settings, services.catalogue)


@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Via"]
)
def test_without_keys_a_proxy_is_refused(shared_api: Api, name: str) -> None:
    response = shared_api.http.get("/galleries", headers={name: "for=192.0.2.1"})
    assert "passerby keys create" in assert_problem(response, 401, "key_missing")["detail"]


def test_limit_of_a_key_holds_over_two_processes(api: Api, encoder: ColourEncoder) -> None:
    settings = api.services.settings
    again = build_services(settings, with_worker=False, encoder=encoder)
    secret, _ = api.services.catalogue.keys.create("few", ["search"], requests_per_minute=5)
    free, _ = api.services.catalogue.keys.create("free", ["search"])
    headers = {"authorization": f"Bearer {secret}"}
    with TestClient(create_app(settings, again), base_url=URL) as other:
        answers = [
            http.get("/galleries", headers=headers) for _ in range(4) for http in (api.http, other)
        ]
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 3
    assert_problem(answers[-1], 429, "rate_limited")
    page = api.http.get("/", headers=headers)
    with api.services.catalogue.database.write() as connection:  # its clock is an hour ahead
        ahead = datetime.now(UTC) + timedelta(hours=1)
        connection.execute(update(request_counts).values(expires_at=ahead))
    answers.append(api.http.get("/galleries", headers=headers))
    for refused in (answers[5], answers[-1], page):
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
    unlimited = api.http.get("/galleries", headers={"authorization": f"Bearer {free}"})
    assert unlimited.status_code == 200


def test_needs_lists_known_scopes() -> None:
    scopes: list[Scope] = ["search", "admin"]
    assert needs(*scopes).scopes == {"search", "admin"}
    assert {scope for access in ACCESS.values() for scope in access.scopes or ()} == set(SCOPES)
