"""Logging in on the page: what the cookie is, what it can do, and what it can't."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from app.wiring import build_services
from tests.app.conftest import URL, Api, assert_problem
from tests.app.files import picture
from tests.conftest import ColourEncoder

ORIGIN = {"origin": URL}


@pytest.fixture
def secret(api: Api) -> str:
    """Of a key that may all, in a service with one picture."""
    api.fill(("red.jpg", picture("red")))
    return api.services.catalogue.keys.create("ops", ["search", "ingest", "admin"])[0]


def log_in(api: Api, secret: str, **form: str) -> None:
    response = api.http.post(
        "/login", data={"key": secret, **form}, headers=ORIGIN, follow_redirects=False
    )
    assert response.status_code == 303, response.text


def test_page_leads_to_the_login_and_back(api: Api, secret: str) -> None:
    asked = "/?gallery=street&text=red"
    sent = api.http.get(asked, follow_redirects=False)
    assert sent.status_code == 303
    page = api.http.get(sent.headers["location"])
    assert page.status_code == 200
    assert 'value="/?gallery=street&amp;text=red"' in page.text
    response = api.http.post("/login", data={"key": secret, "next": asked}, headers=ORIGIN)
    assert response.status_code == 200
    assert response.request.url.path == "/"
    assert "/images/1/thumbnail" in response.text
    assert "ops" in response.text


@pytest.mark.parametrize(
    ("form", "then"),
    [("/casebook/1", "/casebook/1"), ("/casebook/1/exhibits/1", "/"), ("/map/cancel", "/")],
)
def test_login_after_a_form_leads_to_no_address_of_a_form(
    api: Api, secret: str, form: str, then: str
) -> None:
    sent = api.http.post(form, headers=ORIGIN, follow_redirects=False)
    assert sent.status_code == 303
    assert f'name="next" value="{then}"' in api.http.get(sent.headers["location"]).text


def test_cookie_is_out_of_reach_of_scripts_and_other_sites(api: Api, secret: str) -> None:
    response = api.http.post("/login", data={"key": secret}, headers=ORIGIN, follow_redirects=False)
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("passerby=")
    for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert secret not in cookie


def test_cookie_is_secure_behind_https(api: Api, secret: str, encoder: ColourEncoder) -> None:
    public = "https://search.example.org"
    settings = Settings(**api.services.settings.model_dump() | {"public_url": public})
    services = build_services(settings, with_worker=False, encoder=encoder)
    base = "http://search.example.org"
    with TestClient(create_app(settings, services), base_url=base) as http:
        response = http.post(
            "/login", data={"key": secret}, headers={"origin": public}, follow_redirects=False
        )
        assert response.status_code == 303
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("__Host-passerby=")
        assert "Secure" in cookie
        assert "Domain" not in cookie
        other = http.post("/login", data={"key": secret}, headers={"origin": base + ":1"})
        assert_problem(other, 403, "origin_refused")


def test_key_is_not_taken_over_an_open_network(
    api: Api, secret: str, encoder: ColourEncoder
) -> None:
    settings = Settings(**api.services.settings.model_dump() | {"host": "0.0.0.0"})
    services = build_services(settings, with_worker=False, encoder=encoder)
    with TestClient(create_app(settings, services), base_url="http://10.0.0.1") as http:
        response = http.post("/login", data={"key": secret}, headers={"origin": "http://10.0.0.1"})
        assert response.status_code == 403
        assert "HTTPS" in response.text
        assert "set-cookie" not in response.headers
        page = http.get("/login")  # nor does it ask for one
        assert page.status_code == 403
        assert "<input" not in page.text


@pytest.mark.parametrize(
    ("public", "came_by"),
    [
        ("https://search.example.org", "http://10.0.0.1:8000"),  # past the proxy that ends TLS
        ("http://search.example.org", "http://search.example.org"),  # through one that doesn't
    ],
)
def test_key_is_not_taken_openly_whatever_the_public_url(
    api: Api, secret: str, encoder: ColourEncoder, public: str, came_by: str
) -> None:
    changed = {"host": "0.0.0.0", "public_url": public}
    settings = Settings(**api.services.settings.model_dump() | changed)
    services = build_services(settings, with_worker=False, encoder=encoder)
    base = came_by if came_by != public else "http://127.0.0.1:8000"  # as proxies rewrite it
    with TestClient(create_app(settings, services), base_url=base) as http:
        response = http.post("/login", data={"key": secret}, headers={"origin": came_by})
        assert response.status_code == 403
        assert "set-cookie" not in response.headers


def test_wrong_key_is_told_and_gets_no_cookie(api: Api, secret: str) -> None:
    response = api.http.post("/login", data={"key": secret + "x"}, headers=ORIGIN)
    assert response.status_code == 401
    assert "unknown, expired or ended" in response.text
    assert "set-cookie" not in response.headers
    assert secret not in response.text


def test_change_by_cookie_needs_the_own_origin(api: Api, secret: str) -> None:
    log_in(api, secret)
    assert_problem(api.http.delete("/images/1"), 403, "origin_refused")
    evil = {"origin": "https://evil.example"}
    assert_problem(api.http.delete("/images/1", headers=evil), 403, "origin_refused")
    assert api.http.get("/images/1").status_code == 200
    assert api.http.delete("/images/1", headers=ORIGIN).status_code == 204


@pytest.mark.parametrize("with_key", [True, False])
def test_page_elsewhere_puts_no_search_on_record(api: Api, with_key: bool) -> None:
    if with_key:
        log_in(api, api.services.catalogue.keys.create("ops", ["search"])[0])
    num_rows = len(list(api.services.catalogue.audit.rows()))
    for site, kind in (("cross-site", "image"), ("same-site", "iframe"), ("same-site", "empty")):
        elsewhere = {"sec-fetch-site": site, "sec-fetch-dest": kind}
        response = api.http.get("/?gallery=street&text=my+rival", headers=elsewhere)
        assert response.status_code == 403
    assert len(list(api.services.catalogue.audit.rows())) == num_rows
    for site, kind in (("cross-site", "document"), ("same-origin", "empty"), ("none", "document")):
        own = {"sec-fetch-site": site, "sec-fetch-dest": kind}
        assert api.http.get("/?gallery=street&text=red", headers=own).status_code == 200


def test_logging_out_ends_the_session_everywhere(api: Api, secret: str) -> None:
    log_in(api, secret)
    session = api.http.cookies["passerby"]
    response = api.http.post("/logout", headers=ORIGIN, follow_redirects=False)
    assert response.status_code == 303
    assert "passerby" not in api.http.cookies
    stolen = api.http.get("/galleries", headers={"cookie": f"passerby={session}"})
    assert_problem(stolen, 401, "key_missing")


def test_revoked_key_ends_what_it_logged_in(api: Api, secret: str) -> None:
    log_in(api, secret)
    assert api.http.get("/galleries").status_code == 200
    api.services.catalogue.keys.revoke("ops")
    assert_problem(api.http.get("/galleries"), 401, "key_missing")


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:1", "/\n"]
)
def test_login_leads_nowhere_else(api: Api, secret: str, target: str) -> None:
    form = {"key": secret, "next": target}
    response = api.http.post("/login", data=form, headers=ORIGIN, follow_redirects=False)
    assert response.headers["location"] == "/"


def test_page_offers_what_the_key_may(api: Api, secret: str) -> None:
    del secret
    looker, _ = api.services.catalogue.keys.create("looker", ["search"])
    log_in(api, looker)
    page = api.http.get("/pictures/1").text
    assert 'id="delete"' not in page
    assert 'href="/upload' not in page
    refused = api.http.get("/upload")
    assert refused.status_code == 403
    assert "ingest" in refused.text
    assert refused.headers["content-type"].startswith("text/html")


def test_login_is_on_record(api: Api, secret: str) -> None:
    log_in(api, secret)
    (deed,) = (row.deed for row in api.services.catalogue.audit.rows())
    assert (deed.who, deed.action) == ("ops", "login")


@pytest.fixture(autouse=True)
def _no_cookies_left(api: Api) -> Iterator[None]:
    yield
    api.http.cookies.clear()
