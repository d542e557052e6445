"""Cases over HTTP: kept, changed, and put on record."""

from __future__ import annotations

from typing import Any

import pytest

from indexer.access.audit_log import AuditRow
from tests.app.conftest import Api, assert_problem, both_databases
from tests.app.files import TIMED, picture

pytestmark = both_databases

FOUND = {"by": "description", "text": "someone in red", "rank": 1, "score": 0.61}


@pytest.fixture
def filled(api: Api) -> Api:
    """Three pictures in `street`: 1 red, 2 green, 3 blue."""
    known = {"red.jpg": {"camera": "gate", "captured_at": TIMED}}
    files = [(f"{name}.jpg", picture(name)) for name in ("red", "green", "blue")]
    assert api.fill(*files, metadata=known) == [1, 2, 3]
    return api


def begin(api: Api, *image_ids: int, name: str = "Harbour") -> dict[str, Any]:
    """A case with these pictures, as it is shown."""
    made = api.post("/galleries/street/cases", {"name": name})
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/cases/{made.json()['id']}"
    for image_id in image_ids:
        body = {"image_id": image_id, "note": f"note on {image_id}", "found": FOUND}
        added = api.post(f"/cases/{made.json()['id']}/exhibits", body)
        assert added.status_code == 201, added.text
    shown: dict[str, Any] = api.http.get(f"/cases/{made.json()['id']}").json()
    return shown


def rows(api: Api) -> list[AuditRow]:
    """All on record; the chain is whole."""
    assert api.services.catalogue.audit.verify().fault is None
    return list(api.services.catalogue.audit.rows())


def test_case_is_kept_with_its_pictures_in_order(filled: Api) -> None:
    case = begin(filled, 1, 3)
    assert (case["gallery"], case["name"], case["is_open"]) == ("street", "Harbour", True)
    assert [one["picture"]["id"] for one in case["exhibits"]] == [1, 3]
    first = case["exhibits"][0]
    assert (first["place"], first["note"], first["added_by"]) == (1, "note on 1", "local")
    assert first["found"] == FOUND | {
        "is_refined": False,
        **dict.fromkeys(["verdict", "model", "generation"]),
    }
    assert (first["picture"]["camera"], first["due_at"]) == ("gate", None)
    path = f"/cases/{case['id']}/exhibits/{first['id']}"
    assert filled.http.patch(path, json={"place": 2}).json()["place"] == 2
    noted = filled.http.patch(path, json={"note": "a\r\nb ", "version": 1})
    assert (noted.json()["note"], noted.json()["version"]) == ("a\nb", 2)
    (listed,) = filled.http.get("/galleries/street/cases").json()["cases"]
    assert (listed["name"], listed["num_exhibits"]) == ("Harbour", 2)
    assert "note" not in listed
    assert filled.http.delete(path).status_code == 204
    left = filled.http.get(f"/cases/{case['id']}").json()["exhibits"]
    assert [(one["place"], one["picture"]["id"]) for one in left] == [(1, 3)]
    changed = filled.http.patch(f"/cases/{case['id']}", json={"version": 1, "name": "Port"})
    assert (changed.json()["name"], changed.json()["version"]) == ("Port", 2)
    assert filled.http.delete(f"/cases/{case['id']}").status_code == 204
    assert_problem(filled.http.get(f"/cases/{case['id']}"), 404, "case_not_found")
    assert filled.http.get("/images/1").status_code == 200


def test_each_step_is_on_record_and_no_note_is(filled: Api) -> None:
    case = begin(filled, 1)
    number, exhibit = case["id"], case["exhibits"][0]["id"]
    path = f"/cases/{number}/exhibits/{exhibit}"
    answer = filled.http.patch(path, json={"note": "him", "version": 1})
    told = [(row.deed.action, row.deed.what, row.deed.image_ids) for row in rows(filled)]
    assert told == [
        ("case", f"case {number}: made 'Harbour'", ()),
        ("case", f"case {number}: exhibit {exhibit} added", (1,)),
        ("view", f"case {number}: looked at", (1,)),
        ("case", f"case {number}: exhibit {exhibit} noted", (1,)),
    ]
    assert rows(filled)[-1].deed.request_id == answer.headers["x-request-id"]
    filled.http.get("/images/1/thumbnail")
    assert len(rows(filled)) == 4, "the case's own row tells of its thumbnails"


def test_what_was_changed_meanwhile_is_not_written_over(filled: Api) -> None:
    case = begin(filled, 1)
    path = f"/cases/{case['id']}/exhibits/{case['exhibits'][0]['id']}"
    assert filled.http.patch(path, json={"note": "mine", "version": 1}).status_code == 200
    document = assert_problem(
        filled.http.patch(path, json={"note": "yours", "version": 1}), 409, "case_changed"
    )
    assert "it is at version 2, not 1" in document["detail"]
    assert_problem(filled.http.delete(path, params={"version": 1}), 409, "case_changed")
    assert filled.http.get(f"/cases/{case['id']}").json()["exhibits"][0]["note"] == "mine"
    body = {"version": 3, "note": "x"}
    assert_problem(filled.http.patch(f"/cases/{case['id']}", json=body), 409, "case_changed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"note": "x"}, "body"),
        ({"version": 1}, "body"),
        ({"place": 1, "note": "x", "version": 1}, "body"),
        ({"place": 0}, "place"),
        ({"note": "a\x00b", "version": 1}, "note"),
        ({"note": "x" * 5001, "version": 1}, "note"),
    ],
)
def test_exhibit_takes_one_change_at_a_time(
    filled: Api, body: dict[str, object], field: str
) -> None:
    case = begin(filled, 1)
    path = f"/cases/{case['id']}/exhibits/{case['exhibits'][0]['id']}"
    document = assert_problem(filled.http.patch(path, json=body), 422, "validation_failed")
    assert document["errors"][0]["field"] == field


def test_refusals_say_why(filled: Api) -> None:
    case = begin(filled, 1)
    path = f"/cases/{case['id']}"
    again = filled.post("/galleries/street/cases", {"name": "Harbour"})
    assert_problem(again, 409, "case_exists")
    assert_problem(filled.post(f"{path}/exhibits", {"image_id": 1}), 409, "exhibit_exists")
    assert_problem(filled.post(f"{path}/exhibits", {"image_id": 9}), 404, "image_not_found")
    assert_problem(filled.http.delete(f"{path}/exhibits/99"), 404, "exhibit_not_found")
    closed = filled.http.patch(path, json={"version": 1, "is_open": False})
    assert closed.json()["is_open"] is False
    assert_problem(filled.post(f"{path}/exhibits", {"image_id": 2}), 409, "case_closed")
    assert_problem(filled.http.get("/cases/99"), 404, "case_not_found")


def test_deleted_picture_leaves_an_empty_place(filled: Api) -> None:
    case = begin(filled, 1, 2)
    assert filled.http.delete("/images/1").status_code == 204
    emptied, kept = filled.http.get(f"/cases/{case['id']}").json()["exhibits"]
    assert (emptied["picture"], emptied["note"], emptied["found"]) == (None, "", None)
    assert emptied["emptied_at"]
    assert kept["picture"]["id"] == 2
    path = f"/cases/{case['id']}/exhibits/{emptied['id']}"
    body = {"note": "him", "version": emptied["version"]}
    assert_problem(filled.http.patch(path, json=body), 409, "exhibit_empty")


def test_case_tells_when_its_pictures_are_due(filled: Api) -> None:
    catalogue = filled.services.catalogue
    catalogue.change_gallery("street", {"retention_days": 30})
    case = begin(filled, 1, 2)
    due = [one["due_at"] for one in case["exhibits"]]
    assert all(due) and due[0][:4] in ("2026", "2027")
    catalogue.change_image(1, {"legal_hold": "court"})
    case = filled.http.get(f"/cases/{case['id']}").json()
    assert [bool(one["due_at"]) for one in case["exhibits"]] == [False, True]


def test_reason_is_asked_for_where_the_gallery_does(filled: Api) -> None:
    case = begin(filled)
    filled.services.catalogue.change_gallery("street", {"reason_required": True})
    path = f"/cases/{case['id']}"
    add = {"image_id": 1}
    assert_problem(filled.post(f"{path}/exhibits", add), 422, "reason_required")
    assert_problem(filled.http.get(path), 422, "reason_required")
    assert_problem(filled.http.get(f"{path}/export"), 422, "reason_required")
    assert filled.post(f"{path}/exhibits", add | {"reason": "case 12"}).status_code == 201
    assert filled.http.get(path).status_code == 200, "one stated lately holds"
    assert [row.deed.reason for row in rows(filled)[-2:]] == ["case 12"] * 2
