"""Pages of cases, as forms without scripts use them."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from httpx import Response

from app.cases.found_form import read_found
from app.query.form import SearchForm
from tests.app.conftest import Api
from tests.app.files import picture
from tests.app.test_cases import begin, rows


@pytest.fixture
def filled(api: Api) -> Api:
    """Two pictures in `street`."""
    assert api.fill(("red.jpg", picture("red")), ("blue.jpg", picture("blue"))) == [1, 2]
    return api


def post(api: Api, path: str, **fields: object) -> Response:
    """A form, without following where it leads to."""
    return api.http.post(path, data=fields, follow_redirects=False)


def test_hit_leads_to_a_case_with_how_it_was_found(filled: Api) -> None:
    page = filled.http.get("/?gallery=street&text=someone+in+red&reason=case+12").text
    (link, *_) = re.findall(r'href="(/casebook/add\?image_id=1[^"]*)"', page)
    form = filled.http.get(link.replace("&amp;", "&")).text
    assert "someone in red" in form and "rank 1" in form
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    fields = {name: value.replace("&amp;", "&") for name, value in fields.items()}
    done = post(filled, "/casebook/add", **fields, case="new", name="Harbour", note="him")
    assert done.status_code == 303
    assert done.headers["location"].startswith("/?text=someone+in+red&gallery=street")
    assert done.headers["location"].endswith("#picture-1")
    (exhibit,) = filled.http.get("/cases/1").json()["exhibits"]
    found = exhibit["found"]
    assert (found["by"], found["text"], found["rank"]) == ("description", "someone in red", 1)
    assert (found["model"], found["generation"]) == ("colour-grid", 2)
    assert found["score"] > 0.5
    assert exhibit["note"] == "him"
    assert [row.deed.reason for row in rows(filled) if row.deed.action == "case"] == [
        None,
        "case 12",
    ]
    again = filled.http.get("/?gallery=street&text=someone+in+red").text
    assert "In Harbour; add to a case: picture red.jpg" in again
    assert '<a href="/casebook/1">Harbour</a>' in filled.http.get("/pictures/1").text


def test_hit_of_a_picture_that_was_sent_is_kept_as_such(filled: Api) -> None:
    sent = {"files": {"picture": ("mine.jpg", picture("red", 9))}, "data": {"gallery": "street"}}
    page = filled.http.post("/", **sent).text  # type: ignore[arg-type]
    (link, *_) = re.findall(r'href="(/casebook/add\?image_id=1[^"]*)"', page)
    query = parse_qs(urlsplit(link.replace("&amp;", "&")).query)
    fields = {"from": query["from"][0], "found": query["found"][0]}
    done = post(filled, "/casebook/add", image_id=1, **fields, case="new", name="Harbour")
    assert done.headers["location"] == "/pictures/1"
    (exhibit,) = filled.http.get("/cases/1").json()["exhibits"]
    assert (exhibit["found"]["by"], exhibit["found"]["rank"]) == ("picture", 1)


def test_case_used_last_is_offered_first(filled: Api) -> None:
    for name in ("First", "Second", "Third"):
        begin(filled, name=name)
    filled.post("/cases/2/exhibits", {"image_id": 1})
    form = filled.http.get("/casebook/add?image_id=2").text
    assert re.findall(r'name="case" value="(\w+)"( checked)?', form) == [
        ("2", " checked"),
        ("3", ""),
        ("1", ""),
        ("new", ""),
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"case": "1"}, "Image 1 is in case 1 already."),
        ({"case": "new", "name": "Harbour"}, "has a case named &#39;Harbour&#39; already"),
        ({"case": "new", "name": " "}, "name: "),
        ({"case": "9"}, "There is no case 9."),
        ({"case": "x"}, "case: expected 1 to"),
        ({"case": "1", "note": "a\x00b"}, "note: must not contain control characters"),
    ],
)
def test_form_that_is_refused_says_why_and_keeps_what_was_written(
    filled: Api, fields: dict[str, str], said: str
) -> None:
    begin(filled, 1)
    page = post(filled, "/casebook/add", **{"image_id": "1", "note": "mine", **fields})
    assert page.status_code in (404, 409, 422)
    assert said in page.text
    if "note" not in fields:
        assert ">mine</textarea>" in page.text


@pytest.mark.parametrize("image_id", ["", "x", "0", "9" * 30])
def test_add_page_asks_for_a_picture(filled: Api, image_id: str) -> None:
    page = filled.http.get(f"/casebook/add?image_id={image_id}")
    assert page.status_code == 422
    assert "image_id: expected 1 to" in page.text
    assert filled.http.get("/casebook/add?image_id=99").status_code == 404


def test_case_page_is_worked_on_by_forms(filled: Api) -> None:
    case = begin(filled, 1, 2)
    first, second = (one["id"] for one in case["exhibits"])
    path = "/casebook/1"

    def order() -> list[str]:
        return re.findall(r'id="exhibit-(\d+)"', filled.http.get(path).text)

    assert order() == [str(first), str(second)]
    moved = post(filled, f"{path}/exhibits/{second}", do="up", version=1)
    assert moved.headers["location"] == f"/casebook/1#exhibit-{second}"
    assert order() == [str(second), str(first)]
    post(filled, f"{path}/exhibits/{second}", do="down", version=1)
    post(filled, f"{path}/exhibits/{first}", do="place", place=2)
    assert order() == [str(second), str(first)]
    post(filled, f"{path}/exhibits/{first}", do="note", version=1, note="<him> & more")
    assert "&lt;him&gt; &amp; more</textarea>" in filled.http.get(path).text
    lost = post(filled, f"{path}/exhibits/{first}", do="note", version=1, note="another")
    assert lost.status_code == 409
    assert "was changed meanwhile" in lost.text and "another" in lost.text
    assert "&lt;him&gt; &amp; more</textarea>" in lost.text, "what stands there is shown too"
    post(filled, f"{path}/exhibits/{second}", do="remove", version=1)
    assert order() == [str(first)]
    post(filled, path, do="save", version=1, name="Port", note="A\r\nB")
    assert "<h1>Port</h1>" in filled.http.get(path).text
    lost = post(filled, path, do="save", version=1, name="Lost", note="")
    assert lost.status_code == 409 and 'value="Lost"' in lost.text
    post(filled, path, do="close", version=2)
    closed = filled.http.get(path).text
    assert "<strong>closed</strong>" in closed and "Up</button>" not in closed
    post(filled, path, do="open", version=3)
    gone = post(filled, path, do="delete", version=4)
    assert gone.headers["location"] == "/casebook?gallery=street"
    assert filled.http.get(path).status_code == 404


def test_list_begins_a_case(filled: Api) -> None:
    assert "None in street yet" in filled.http.get("/casebook").text
    made = post(filled, "/casebook", gallery="street", name="Harbour", note="Lost")
    assert made.headers["location"] == "/casebook/1"
    assert "Harbour" in filled.http.get("/casebook?gallery=street").text
    again = post(filled, "/casebook", gallery="street", name="Harbour")
    assert again.status_code == 409 and "already" in again.text


def test_page_that_is_worked_on_leaves_a_row_a_minute(filled: Api) -> None:
    begin(filled, 1)

    def looks() -> int:
        filled.http.get("/casebook/1")
        return sum(row.deed.what == "case 1: looked at" for row in rows(filled))

    first = looks()
    assert looks() == first
    filled.post("/cases/1/exhibits", {"image_id": 2})
    assert looks() == first + 1, "it shows a picture more"


def test_case_of_a_gallery_that_asks_why(filled: Api) -> None:
    begin(filled, 1)
    filled.services.catalogue.change_gallery("street", {"reason_required": True})
    page = filled.http.get("/casebook/1")
    assert page.status_code == 422
    assert "red.jpg" not in page.text and 'name="reason"' in page.text
    late = post(filled, "/casebook/1/exhibits/1", do="note", version=1, note="he <runs>")
    assert late.status_code == 422 and "he &lt;runs&gt;" in late.text, "it is not lost"
    assert "red.jpg" in filled.http.get("/casebook/1?reason=case+12").text


def test_no_case_is_begun_where_a_reason_is_missing(filled: Api) -> None:
    catalogue = filled.services.catalogue
    catalogue.change_gallery("street", {"reason_required": True})
    fields = {"image_id": 1, "case": "new", "name": "Harbour"}
    assert post(filled, "/casebook/add", **fields).status_code == 422
    assert catalogue.cases.all("street") == []
    assert post(filled, "/casebook/add", **fields, reason="case 12").status_code == 303
    assert catalogue.cases.all("street")[0].num_exhibits == 1


def test_keys_of_another_gallery_see_no_case(filled: Api) -> None:
    begin(filled, 1)
    catalogue = filled.services.catalogue
    catalogue.create_gallery("yard")
    secret, _ = catalogue.keys.create("yard", ["search"], galleries=["yard"])
    headers = {"authorization": f"Bearer {secret}"}
    for path in ("/casebook?gallery=street", "/casebook/1", "/casebook/add?image_id=1"):
        assert filled.http.get(path, headers=headers).status_code == 404, path
    assert filled.http.get("/casebook", headers=headers).status_code == 200
    for path, fields in {
        "/casebook": {"gallery": "street", "name": "x"},
        "/casebook/add": {"image_id": "1", "case": "1"},
    }.items():
        answer = filled.http.post(path, data=fields, headers=headers)
        assert answer.status_code == 404, path


def test_picture_goes_into_no_case_of_another_gallery(filled: Api) -> None:
    filled.services.catalogue.create_gallery("yard")
    filled.post("/galleries/yard/cases", {"name": "Yard"})
    page = post(filled, "/casebook/add", image_id=1, case=1)
    assert page.status_code == 404 and "There is no image 1" in page.text


@pytest.mark.parametrize(
    ("query", "told", "expected"),
    [
        ("gallery=g&text=a+man", {"rank": 2, "score": 0.5}, ("description", 2, 0.5)),
        ("gallery=g&like=7", {"rank": 2}, ("likeness", 2, None)),
        ("gallery=g", {"by": "picture", "rank": 1}, ("picture", 1, None)),
        ("gallery=g&text=a+man", {"rank": "x", "score": "nan"}, ("description", None, None)),
        ("gallery=g&text=a+man", {"model": "m" * 500}, ("description", None, None)),
        ("gallery=g", {"rank": 1}, None),
        ("", {"rank": 1}, None),
        ("gallery=g&text=a&after=never", {"rank": 1}, None),
    ],
)
def test_how_it_was_found_comes_by_an_address(
    query: str, told: dict[str, object], expected: tuple[object, ...] | None
) -> None:
    found = read_found(SearchForm.parse(query), urlencode(told))
    assert expected == (None if found is None else (found.by, found.rank, found.score))
