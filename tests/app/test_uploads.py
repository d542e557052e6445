"""POST /galleries/{g}/images: one result a file, and every bad file, form and metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.errors import KINDS
from app.ingest.uploads import shown_name
from app.main import create_app
from app.services import Services
from app.settings import MB, Settings
from tests.app.conftest import URL, Api, assert_problem, both_databases
from tests.app.files import animated, bomb, deep, picture, tiny

WHOLE = picture("red")


@both_databases
def test_upload_answers_each_file_in_order(api: Api) -> None:
    files = [
        ("a.jpg", picture("red")),
        ("notes.txt", b"not a picture at all"),
        ("b.jpg", picture("blue")),
        ("a again.jpg", picture("red")),
    ]
    answer = api.upload(*files)
    assert answer.status_code == 202
    found = answer.json()
    assert (found["accepted"], found["duplicates"], found["refused"]) == (2, 1, 1)
    first, notes, second, again = found["results"]
    assert [result["file_name"] for result in found["results"]] == [name for name, _ in files]
    assert (first["status"], second["status"]) == ("accepted", "accepted")
    assert first["image_id"] != second["image_id"]
    assert (again["status"], again["duplicate_of"]) == ("duplicate", first["image_id"])
    assert (notes["status"], notes["image_id"]) == ("refused", None)
    assert notes["problem"]["code"] == "not_a_picture"
    assert notes["problem"]["type"] == "/problems/not_a_picture"
    again = api.upload(files[2]).json()["results"][0]
    assert again["duplicate_of"] == second["image_id"]


@both_databases
def test_upload_keeps_the_metadata(api: Api) -> None:
    known = {
        "camera": "north gate ü",
        "captured_at": "2026-05-01T14:00:00+02:00",
        "box": [4, 8, 20, 40],
        "tags": ["rush hour"],
        "external_id": "frame-17",
    }
    (image_id,) = api.fill(("a.jpg", WHOLE), metadata={"a.jpg": known})
    shown = api.http.get(f"/images/{image_id}").json()
    assert shown["captured_at"] == "2026-05-01T12:00:00Z"
    assert {name: shown[name] for name in known} == known | {"captured_at": shown["captured_at"]}
    assert (shown["state"], shown["reason"], shown["gallery"]) == ("searchable", None, "street")
    assert (shown["width_px"], shown["height_px"]) == (32, 64)
    assert (shown["size_bytes"], shown["content_type"]) == (len(WHOLE), "image/jpeg")
    assert api.http.get("/galleries/street").json()["cameras"] == ["north gate ü"]


def test_upload_gives_files_of_one_name_the_same_metadata(api: Api) -> None:
    ids = api.fill(
        ("a.jpg", picture("red", 1)),
        ("a.jpg", picture("red", 2)),
        metadata={"a.jpg": {"camera": "north"}},
    )
    assert {image.camera for image in api.services.catalogue.images(ids).values()} == {"north"}
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"just text", "not_a_picture"),
        (b"\xff\xd8\xff", "truncated_picture"),
        (b"GIF89a" + bytes(100), "not_a_picture"),
        (tiny(), "picture_too_small"),
        (bomb(), "picture_too_large"),
        (WHOLE[:-8], "truncated_picture"),
        (picture("red", suffix="PNG")[:-60], "truncated_picture"),
        (picture("red", suffix="WEBP")[:-8], "truncated_picture"),
        (WHOLE + bytes(33 * MB), "file_too_large"),
    ],
    ids=[
        "empty",
        "text",
        "no more than a signature",
        "gif",
        "1x1",
        "30000x30000",
        "cut JPEG",
        "cut PNG",
        "cut WebP",
        "33 MB",
    ],
)
def test_upload_refuses_a_bad_file_alone(api: Api, content: bytes, code: str) -> None:
    answer = api.upload(("bad.jpg", content), ("good.jpg", WHOLE)).json()
    bad, good = answer["results"]
    assert (bad["status"], good["status"]) == ("refused", "accepted")
    assert bad["problem"]["code"] == code
    assert bad["problem"]["status"] == KINDS[code].status
    assert bad["problem"]["title"] == KINDS[code].title


@pytest.mark.parametrize(
    "content",
    [animated(), picture("red", mode="CMYK"), deep(), picture("red", suffix="PNG", mode="LA")],
    ids=["animated", "CMYK", "16-bit", "grey with alpha"],
)
def test_upload_converts_what_is_usable(api: Api, content: bytes) -> None:
    (image_id,) = api.fill(("odd", content))
    assert api.http.get(f"/images/{image_id}").json()["state"] == "searchable"
    assert api.http.get(f"/images/{image_id}/thumbnail").status_code == 200


def test_upload_of_a_damaged_picture_ends_as_failed_with_a_reason(api: Api) -> None:
    """Its header is in order; that its pixels are not, only decoding shows."""
    damaged, good = api.fill(("damaged.png", bomb(side_px=100)), ("good.jpg", WHOLE))
    page = api.http.get("/galleries/street/images?state=failed").json()
    assert [(image["id"], image["state"]) for image in page["images"]] == [(damaged, "failed")]
    assert page["images"][0]["reason"]
    counts = {"pending": 0, "searchable": 1, "failed": 1}
    assert api.http.get("/galleries/street").json()["counts"] == counts
    assert [hit["image_id"] for hit in api.search(text="red").json()["results"]] == [good]
    assert_problem(api.search(image_id=damaged), 409, "image_not_searchable")
    assert_problem(api.http.get(f"/images/{damaged}/thumbnail"), 422, "undecodable_picture")


@pytest.mark.parametrize("box", [[0, 0, 33, 64], [-1, 0, 20, 20], [0, 0, 0, 5], [10**30, 0, 9, 9]])
def test_upload_refuses_a_box_outside_the_picture(api: Api, box: list[int]) -> None:
    answer = api.upload(("a.jpg", WHOLE), metadata={"a.jpg": {"box": box}})
    (result,) = answer.json()["results"]
    assert result["status"] == "refused"
    assert result["problem"]["field"] == "box"
    assert result["problem"]["status"] == 422


@pytest.mark.parametrize(
    ("metadata", "field", "said"),
    [
        ({"a.jpg": {"camera": "x" * 10_000}}, "metadata.a.jpg.camera", "200"),
        ({"a.jpg": {"camera": ""}}, "metadata.a.jpg.camera", "1"),
        ({"a.jpg": {"camera": "a\x00b"}}, "metadata.a.jpg.camera", "control"),
        ({"a.jpg": {"captured_at": "2026-05-01T12:00"}}, "metadata.a.jpg.captured_at", "zone"),
        ({"a.jpg": {"captured_at": "0001-01-01T00:00+14:00"}}, "metadata.a.jpg.captured_at", ""),
        ({"a.jpg": {"captured_at": "9999-01-01T00:00Z"}}, "metadata.a.jpg.captured_at", "2999"),
        ({"a.jpg": {"colour": "red"}}, "metadata.a.jpg.colour", "unknown field"),
        ({"a.jpg": {"box": [1, 2, 3]}}, "metadata.a.jpg.box", "4"),
        ({"a.jpg": {"tags": ["t"] * 33}}, "metadata.a.jpg.tags", "32"),
        ({"a.jpg": {"external_id": "x" * 201}}, "metadata.a.jpg.external_id", "200"),
        ({"a.jpg": "north"}, "metadata.a.jpg", ""),
        ({"b.jpg": {}}, "metadata.b.jpg", "no file of this name"),
        ("[]", "metadata", "dictionary"),
        ("{", "metadata", "JSON"),
        ("[" * 100_000, "metadata", "JSON"),
        ('{"a.jpg": {"camera": "\\ud800"}}', "metadata.a.jpg.camera", ""),
    ],
)
def test_upload_names_the_wrong_metadata_and_stores_nothing(
    shared_api: Api, metadata: Any, field: str, said: str
) -> None:
    before = shared_api.http.get("/galleries/street").json()["counts"]
    response = shared_api.upload(("a.jpg", picture("blue")), metadata=metadata)
    problem = assert_problem(response, 422, "validation_failed")
    errors = {error["field"]: error["message"] for error in problem["errors"]}
    assert field in errors
    assert said in errors[field]
    assert len(response.content) < 2000
    assert shared_api.http.get("/galleries/street").json()["counts"] == before


def test_upload_refuses_forms_that_are_none(shared_api: Api) -> None:
    def post(**how: Any) -> Any:
        return shared_api.http.post("/galleries/street/images", **how)

    assert_problem(post(json={}), 415, "unsupported_media_type")
    assert_problem(post(data={"files": "x"}), 415, "unsupported_media_type")
    file = ("a.jpg", WHOLE)
    unknown = post(files={"file": file})
    assert assert_problem(unknown, 422, "validation_failed")["errors"][0]["field"] == "file"
    no_files = post(files={"metadata": (None, "{}")})
    assert assert_problem(no_files, 422, "validation_failed")["errors"][0]["field"] == "files"
    text = post(files=[("files", (None, "text"))])
    assert assert_problem(text, 422, "validation_failed")["errors"][0]["field"] == "files"
    broken = post(content=b"--x\r\nnonsense", headers={"content-type": "multipart/form-data"})
    assert_problem(broken, 400, "malformed_request")
    broken = post(content=b"nonsense", headers={"content-type": "multipart/form-data; boundary=x"})
    assert_problem(broken, 400, "malformed_request")
    assert_problem(shared_api.upload(file, gallery="nowhere"), 404, "gallery_not_found")


def test_upload_of_too_many_files(shared_api: Api) -> None:
    files = [(f"{number}.jpg", b"x") for number in range(1001)]
    problem = assert_problem(shared_api.upload(*files), 413, "too_many_files")
    assert "1000" in problem["detail"]


def in_chunks(content: bytes) -> Iterator[bytes]:
    """A body whose length is not told beforehand."""
    for start in range(0, len(content), 65_536):
        yield content[start : start + 65_536]


def test_upload_of_too_many_bytes(settings: Settings, services: Services) -> None:
    form = httpx.Request("POST", URL, files=[("files", ("a.jpg", WHOLE + bytes(2 * MB)))])
    body, headers = form.read(), {"content-type": form.headers["content-type"]}
    small = settings.model_copy(update={"max_request_bytes": 2 * MB})
    with TestClient(create_app(small, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        for path in ("/galleries/street/images", "/search/image"):
            for content in (body, in_chunks(body)):
                answer = http.post(path, content=content, headers=headers)
                assert "2 MB" in assert_problem(answer, 413, "request_too_large")["detail"]
        headers = {"content-type": "application/json"}
        for content in (b" " * (2 * MB), in_chunks(b" " * (2 * MB))):
            answer = http.post("/search", content=content, headers=headers)
            assert "1 MB" in assert_problem(answer, 413, "request_too_large")["detail"]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("folder/sub/a.jpg", "a.jpg"),
        ("C:\\Users\\me\\a.jpg", "a.jpg"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nSet-Cookie: x.jpg", "a__Set-Cookie: x.jpg"),
        ("/", "unnamed"),
        ("x" * 300 + ".jpeg", "x" * 250 + ".jpeg"),
        ("été 🧥.jpg", "été 🧥.jpg"),
        ("\udcff.jpg", "_.jpg"),
    ],
)
def test_shown_name_is_safe(sent: str, shown: str) -> None:
    assert shown_name(sent) == shown


def test_upload_with_a_name_that_is_not_utf8(api: Api) -> None:
    boundary = b"x"
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="\xe9t\xe9.jpg"\r\n\r\n'
        + WHOLE
        + b"\r\n--x--\r\n"
    )
    response = api.http.post(
        "/galleries/street/images",
        content=body,
        headers={"content-type": f"multipart/form-data; boundary={boundary.decode()}"},
    )
    (result,) = response.json()["results"]
    assert result["status"] == "accepted"
    headers = api.http.get(f"/images/{result['image_id']}/content").headers
    assert headers["content-disposition"].startswith('inline; filename="_t_.jpg"; filename*=UTF-8')
