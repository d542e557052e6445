"""Who may ask, what the browser is told, and that every answer can be traced in the log."""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient

import app
from app.errors import KINDS
from app.http.problems import MEDIA_TYPE
from app.main import create_app
from app.monitoring.logs import current_request
from tests.app.conftest import URL, Api, assert_problem


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", "", "10.0.0.1"],
)
def test_foreign_host_name_is_refused(shared_api: Api, host: str) -> None:
    for path in ("/", "/galleries", "/healthz", "/static/mark.svg"):
        response = shared_api.http.get(path, headers={"host": host})
        assert_problem(response, 403, "host_refused")


@pytest.mark.parametrize(
    "host", ["localhost:8000", "127.0.0.1", "127.0.0.2:8000", "[::1]:8000", "LOCALHOST"]
)
def test_own_host_name_is_served(shared_api: Api, host: str) -> None:
    assert shared_api.http.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8000"]
)
def test_change_from_another_site_is_refused(shared_api: Api, origin: str) -> None:
    ask: list[tuple[str, str, Any]] = [
        ("POST", "/galleries", {"name": "made-by-evil"}),
        ("POST", "/search", {"gallery": "street", "text": "red"}),
        ("DELETE", "/galleries/street", None),
        ("DELETE", "/images/1", None),
    ]
    for method, path, body in ask:
        response = shared_api.http.request(method, path, json=body, headers={"origin": origin})
        assert_problem(response, 403, "origin_refused")
    assert shared_api.http.get("/images/1").status_code == 200
    assert "made-by-evil" not in shared_api.http.get("/galleries").text


def test_change_from_the_own_page_is_served(shared_api: Api) -> None:
    body = {"gallery": "street", "text": "red"}
    response = shared_api.http.post("/search", json=body, headers={"origin": URL})
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "path", ["/healthz", "/nowhere", "/docs", "/static/docs.js", "/galleries/x"]
)
def test_every_answer_has_the_headers(shared_api: Api, path: str) -> None:
    headers = shared_api.http.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-request-id"]


def test_unknown_route_and_method_are_problems(shared_api: Api) -> None:
    assert_problem(shared_api.http.get("/nowhere"), 404, "route_not_found")
    page = shared_api.http.get("/nowhere", headers={"accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Go to search" in page.text
    assert_problem(shared_api.http.get("/static/nothing.js"), 404, "route_not_found")
    response = shared_api.http.put("/search")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


def test_bug_is_logged_under_the_id_that_the_client_gets(
    shared_api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a very secret cause")

    monkeypatch.setattr(shared_api.services.catalogue, "galleries", fail)
    caplog.handler.addFilter(lambda record: asked.append(current_request.get()) or True)
    asked: list[str | None] = []
    response = shared_api.http.get("/galleries")
    assert_problem(response, 500, "internal_error")
    assert "secret" not in response.text
    assert [record for record in caplog.records if record.exc_info]
    assert set(asked) == {response.headers["x-request-id"]}
    assert "nosniff" in response.headers["x-content-type-options"]


def test_client_that_leaves_during_an_upload_is_no_error(
    shared_api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    messages = [
        {"type": "http.request", "body": b"--a\r\n", "more_body": True},
        {"type": "http.disconnect"},
    ]
    headers = {"host": "localhost", "content-type": "multipart/form-data; boundary=a"}
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/galleries/street/images",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    answered = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        answered.append(message)

    async def leave() -> None:
        await shared_api.http.app(scope, receive, send)  # type: ignore[arg-type]

    with caplog.at_level("INFO", logger="passerby.http"):
        anyio.run(leave)
    assert messages == answered == []
    assert "client left" in caplog.text
    assert "Traceback" not in caplog.text


def test_readiness_names_every_part(shared_api: Api) -> None:
    names = ("database", "storage", "model", "index", "worker", "imports", "maps")
    found = shared_api.http.get("/readyz").json()
    models = {"colour-grid": "served"}
    assert found == {"ready": True, "checks": dict.fromkeys(names, "ok"), "models": models}


def test_openapi_documents_every_route_and_its_problems(shared_api: Api) -> None:
    document = shared_api.http.get("/openapi.json").json()
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert {
        "POST /search",
        "POST /galleries",
        "POST /galleries/{gallery}/images",
        "GET /images/{image_id}/thumbnail",
        "GET /readyz",
    } <= set(operations)
    for name, operation in operations.items():
        assert operation["summary"] and operation["description"], name
        assert len(operation["tags"]) == 1, name
        problems = {status for status in operation["responses"] if status >= "400"}
        assert {"403", "500"} <= problems, name
        for status in problems - ({"503"} if name == "GET /readyz" else set()):
            content = operation["responses"][status]["content"]
            assert set(content) == {MEDIA_TYPE}, (name, status)
            for code, example in content[MEDIA_TYPE]["examples"].items():
                assert KINDS[code].status == int(status)
                assert example["value"]["code"] == code
        if operation.get("parameters") or "requestBody" in operation:
            assert "422" in problems, name
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(_references, node.values()))


def test_every_kind_of_problem_is_explained(shared_api: Api) -> None:
    for code, kind in KINDS.items():
        explained = shared_api.http.get(f"/problems/{code}").json()
        assert (explained["type"], explained["status"]) == (f"/problems/{code}", kind.status)
        assert explained["title"] == kind.title
    assert_problem(shared_api.http.get("/problems/none"), 404, "route_not_found")


def test_docs_load_nothing_from_elsewhere(shared_api: Api) -> None:
    page = shared_api.http.get("/docs").text
    assert "http" not in page.replace("<!doctype html>", "")
    assert "<script>" not in page
    for path in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert shared_api.http.get(f"/static/vendor/swagger-ui/{path}").status_code == 200


def test_create_app_builds_its_own_services(
    settings: Any, encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.wiring.load_encoder", lambda _: encoder)
    with TestClient(create_app(settings), base_url=URL) as http:
        deadline = time.monotonic() + 10
        while not (ready := http.get("/readyz").json())["ready"]:  # its worker is just starting
            assert time.monotonic() < deadline, ready


def test_version_is_the_packages() -> None:
    pyproject = Path(app.__file__).parent.parent / "pyproject.toml"
    assert tomllib.loads(pyproject.read_text())["project"]["version"] == app.__version__


def test_problem_document_is_ascii_json(shared_api: Api) -> None:
    response = shared_api.http.get("/galleries/%ff\udcff".replace("\udcff", "%f0%9f"))
    assert response.content.isascii()
    json.loads(response.content)
