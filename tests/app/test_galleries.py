"""Galleries and single pictures over HTTP: make, show, list, fetch, delete."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from app.pictures.answers import disposition
from tests.app.conftest import Api, assert_problem, both_databases
from tests.app.files import picture


@both_databases
def test_gallery_lives_and_dies(api: Api) -> None:
    made = api.post("/galleries", {"name": "north-gate_2"})
    assert (made.status_code, made.headers["location"]) == (201, "/galleries/north-gate_2")
    assert made.json()["counts"] == {"pending": 0, "searchable": 0, "failed": 0}
    assert_problem(api.post("/galleries", {"name": "north-gate_2"}), 409, "gallery_exists")
    listed = api.http.get("/galleries").json()["galleries"]
    assert [gallery["name"] for gallery in listed] == ["north-gate_2", "street"]
    ids = api.fill(("a.jpg", picture("red")), ("b.jpg", picture("blue")))
    assert api.http.get("/galleries/street").json()["counts"]["searchable"] == 2
    deleted = api.http.delete("/galleries/street")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert_problem(api.http.get("/galleries/street"), 404, "gallery_not_found")
    assert_problem(api.http.delete("/galleries/street"), 404, "gallery_not_found")
    assert_problem(api.search(text="red"), 404, "gallery_not_found")
    assert_problem(api.http.get(f"/images/{ids[0]}/content"), 404, "image_not_found")
    assert api.services.model.live_index.status().indexed == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "Station"}, 422, "invalid_gallery_name"),
        ({"name": "a/b"}, 422, "invalid_gallery_name"),
        ({"name": "x" * 65}, 422, "invalid_gallery_name"),
        ({"name": "a\x00"}, 422, "invalid_gallery_name"),
        ({"name": ""}, 422, "validation_failed"),
        ({"name": "x" * 10_000}, 422, "validation_failed"),
        ({"name": 1}, 422, "validation_failed"),
        ({"name": "ok", "colour": 1}, 422, "validation_failed"),
        ({}, 422, "validation_failed"),
    ],
)
def test_gallery_of_a_bad_name(
    shared_api: Api, body: dict[str, Any], status: int, code: str
) -> None:
    assert_problem(shared_api.post("/galleries", body), status, code)


@pytest.mark.parametrize("path", ["/galleries/{}", "/galleries/{}/images"])
@pytest.mark.parametrize("name", ["nowhere", "%00", "A", "%ff", "x" * 300])
def test_gallery_that_is_not_there(shared_api: Api, path: str, name: str) -> None:
    response = shared_api.http.get(path.format(name))
    problem = assert_problem(response, 404, "gallery_not_found")
    assert len(problem["detail"]) < 200


@both_databases
def test_list_pages_through_a_gallery(api: Api) -> None:
    ids = api.fill(*((f"{n}.jpg", picture("red", n)) for n in range(5)))
    page = api.http.get("/galleries/street/images?limit=2").json()
    assert [image["id"] for image in page["images"]] == ids[:2]
    page = api.http.get(
        "/galleries/street/images", params={"after_id": page["next_after_id"], "limit": 3}
    ).json()
    assert [image["id"] for image in page["images"]] == ids[2:]
    assert page["next_after_id"] is None
    assert api.http.get("/galleries/street/images?state=pending").json()["images"] == []
    assert len(api.http.get("/galleries/street/images?state=searchable").json()["images"]) == 5


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("state=lost", "state"),
        ("after_id=x", "after_id"),
    ],
)
def test_list_names_the_wrong_parameter(shared_api: Api, query: str, field: str) -> None:
    response = shared_api.http.get(f"/galleries/street/images?{query}")
    assert assert_problem(response, 422, "validation_failed")["errors"][0]["field"] == field


def test_content_is_what_was_sent_and_is_safe_to_open(api: Api) -> None:
    sent = picture("red", suffix="WEBP")
    (image_id,) = api.fill(('a "b"\\ü.webp', sent))
    answer = api.http.get(f"/images/{image_id}/content")
    assert answer.content == sent
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "private" in answer.headers["cache-control"]
    assert answer.headers["content-disposition"].startswith("inline; ")
    sha256 = api.http.get(f"/images/{image_id}").json()["sha256"]
    assert answer.headers["etag"] == f'"{sha256}"'


@pytest.mark.parametrize("view", ["content", "thumbnail"])
def test_picture_is_not_sent_twice(api: Api, view: str) -> None:
    (image_id,) = api.fill(("a.jpg", picture("red")))
    path = f"/images/{image_id}/{view}"
    etag = api.http.get(path).headers["etag"]
    for known in (etag, f'"x", W/{etag}', "*"):
        again = api.http.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert api.http.get(path, headers={"if-none-match": '"x"'}).status_code == 200


def test_thumbnail_shows_the_box_upright(api: Api) -> None:
    file = io.BytesIO()
    whole = Image.new("RGB", (1000, 600), "blue")
    whole.paste("red", (0, 0, 500, 600))  # upright, after a quarter turn: red above
    exif = Image.Exif()
    exif[0x0112] = 6
    whole.save(file, "JPEG", exif=exif)
    box = [0, 0, 600, 500]
    (image_id,) = api.fill(("a.jpg", file.getvalue()), metadata={"a.jpg": {"box": box}})
    shown = api.http.get(f"/images/{image_id}").json()
    assert (shown["width_px"], shown["height_px"]) == (600, 1000)
    small = Image.open(io.BytesIO(api.http.get(f"/images/{image_id}/thumbnail").content))
    assert (small.format, max(small.size)) == ("JPEG", 320)
    assert small.width > small.height
    for x in (10, small.width - 10):
        red, _, blue = small.convert("RGB").getpixel((x, small.height // 2))  # type: ignore[misc]
        assert red > 200 > 100 > blue


def test_disposition_keeps_to_one_header_line() -> None:
    assert disposition('a"\\\r\n;é.jpg') == (
        "inline; filename=\"a____;_.jpg\"; filename*=UTF-8''a%22%5C%0D%0A%3B%C3%A9.jpg"
    )


@both_databases
def test_deleted_picture_is_gone_at_once(api: Api) -> None:
    red, blue = api.fill(("red.jpg", picture("red")), ("blue.jpg", picture("blue")))
    sha256 = api.http.get(f"/images/{red}").json()["sha256"]
    assert api.http.delete(f"/images/{red}").status_code == 204
    found = api.search(text="red").json()["results"]
    assert [hit["image_id"] for hit in found] == [blue]
    for path in ("", "/content", "/thumbnail"):
        assert_problem(api.http.get(f"/images/{red}{path}"), 404, "image_not_found")
    assert_problem(api.http.delete(f"/images/{red}"), 404, "image_not_found")
    assert not api.services.store.exists(sha256)
    (again,) = api.fill(("red.jpg", picture("red")))
    assert again > blue, "ids are never used again"


@pytest.mark.parametrize("image_id", ["0", "-1", "x", str(2**63), "9" * 400])
def test_image_ids_that_are_none(shared_api: Api, image_id: str) -> None:
    response = shared_api.http.get(f"/images/{image_id}")
    problem = assert_problem(response, 422, "validation_failed")
    assert problem["errors"][0]["field"] == "image_id"


def test_picture_whose_bytes_are_lost(api: Api) -> None:
    (image_id,) = api.fill(("a.jpg", picture("red")))
    api.services.store.delete(api.services.catalogue.image(image_id).sha256)
    for view in ("content", "thumbnail"):
        assert_problem(api.http.get(f"/images/{image_id}/{view}"), 503, "picture_missing")


@both_databases
def test_only_what_is_sent_is_set(api: Api) -> None:
    path = "/galleries/street"
    shown = api.http.get(path).json()
    fields = ("retention_days", "legal_hold", "reason_required")
    assert [shown[field] for field in fields] == [None, None, False]
    for body, expected in (
        ({"retention_days": 30}, [30, None, False]),
        ({"legal_hold": "case 7", "reason_required": True}, [30, "case 7", True]),
        ({}, [30, "case 7", True]),
        ({"retention_days": None, "legal_hold": None}, [None, None, True]),
    ):
        changed = api.http.patch(path, json=body)
        assert changed.status_code == 200, changed.text
        assert [changed.json()[field] for field in fields] == expected
        assert [api.http.get(path).json()[field] for field in fields] == expected
    assert_problem(api.http.patch("/galleries/none", json={}), 404, "gallery_not_found")
    rows = [row.deed.what for row in api.services.catalogue.audit.rows()]
    assert "legal_hold='case 7', reason_required=True" in rows


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/galleries/street", {"retention_days": 0}, "retention_days"),
        ("/galleries/street", {"retention_days": 36_501}, "retention_days"),
        ("/galleries/street", {"legal_hold": ""}, "legal_hold"),
        ("/galleries/street", {"legal_hold": "x" * 201}, "legal_hold"),
        ("/galleries/street", {"legal_hold": "a\x00"}, "legal_hold"),
        ("/galleries/street", {"legal_hold": "a\x9b2J"}, "legal_hold"),
        ("/galleries/street", {"reason_required": None}, "reason_required"),
        ("/galleries/street", {"name": "other"}, "name"),
        ("/images/1", {"legal_hold": ""}, "legal_hold"),
        ("/images/1", {"camera": "a"}, "camera"),
    ],
)
def test_setting_that_is_wrong_is_named(
    shared_api: Api, path: str, body: dict[str, Any], field: str
) -> None:
    response = shared_api.http.patch(path, json=body)
    assert assert_problem(response, 422, "validation_failed")["errors"][0]["field"] == field


@both_databases
def test_legal_hold_refuses_deletion_until_it_is_lifted(api: Api) -> None:
    (image_id,) = api.fill(("red.jpg", picture("red")))
    image, gallery = f"/images/{image_id}", "/galleries/street"
    for held in (image, gallery):
        assert api.http.patch(held, json={"legal_hold": "case 7"}).json()["legal_hold"] == "case 7"
        for refused in (image, gallery):
            problem = assert_problem(api.http.delete(refused), 409, "legal_hold")
            assert "case 7" in problem["detail"]
        assert api.http.patch(held, json={"legal_hold": None}).json()["legal_hold"] is None
    assert api.search(text="red").json()["indexed"] == 1
    assert api.http.delete(image).status_code == 204
    assert_problem(api.http.patch(image, json={"legal_hold": "x"}), 404, "image_not_found")
