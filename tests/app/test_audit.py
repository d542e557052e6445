"""Searches, views, deletions and key changes leave a row each; without it nothing happens."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import text, update

from indexer.access.audit_log import Deed
from indexer.tables import images
from tests.app.conftest import Api, assert_problem, both_databases
from tests.app.files import picture

pytestmark = both_databases


def deeds(api: Api) -> list[Deed]:
    """All on record, in order; the chain is whole."""
    assert api.services.catalogue.audit.verify().fault is None
    return [row.deed for row in api.services.catalogue.audit.rows()]


@pytest.fixture
def filled(api: Api) -> Api:
    api.fill(("red.jpg", picture("red")), ("blue.jpg", picture("blue")))
    return api


def require_reason(api: Api, gallery: str = "street") -> None:
    api.services.catalogue.change_gallery(gallery, {"reason_required": True})


def test_search_is_recorded_with_question_reason_and_what_was_shown(filled: Api) -> None:
    response = filled.search(text="red  coat", reason=" case\t12 ", limit=1)
    assert response.status_code == 200
    (deed,) = deeds(filled)
    assert deed == Deed(
        who="local",
        action="search",
        gallery="street",
        what="red coat",
        image_ids=(1,),
        reason="case 12",
        result_count=1,
        request_id=response.headers["x-request-id"],
    )


def test_filters_are_on_record_with_the_question(filled: Api) -> None:
    filters = {"cameras": ["gate-2"], "after": "2026-05-01T12:00:00+02:00", "tags": ["lost"]}
    filled.search(text="red", filters=filters)
    filled.http.get("/?gallery=street&like=1&camera=gate-2")
    first, second = (deed for deed in deeds(filled) if deed.action == "search")
    told = '{"cameras": ["gate-2"], "after": "2026-05-01T10:00:00Z", "tags": ["lost"]}'
    assert first.what == f"red {told}"
    assert second.what == 'like image 1 {"cameras": ["gate-2"]}'


def test_what_is_told_of_searchable_pictures_is_recorded(filled: Api) -> None:
    with filled.services.catalogue.database.write() as connection:
        connection.execute(update(images).where(images.c.id == 2).values(state="failed"))
    assert filled.http.get("/images/2").status_code == 200  # who sent it sees why
    assert filled.http.get("/galleries/street/images?state=pending").status_code == 200
    assert deeds(filled) == []
    assert filled.http.get("/images/1").status_code == 200
    assert filled.http.get("/galleries/street/images?reason=case+9").status_code == 200
    looks = [(deed.action, deed.what, deed.image_ids, deed.reason) for deed in deeds(filled)]
    assert looks == [("view", "details", (1,), None), ("view", "details", (1,), "case 9")]
    filled.http.get("/images/1/thumbnail")  # is not what was told: a row of its own
    assert len(deeds(filled)) == 3


def test_picture_compared_with_is_shown_on_record(filled: Api) -> None:
    filled.services.catalogue.create_gallery("yard")
    filled.upload(("green.jpg", picture("green")), gallery="yard")
    filled.wait("yard")
    require_reason(filled, "street")
    page = filled.http.get("/?gallery=yard&like=1")
    assert page.status_code == 422
    assert "red.jpg" not in page.text
    page = filled.http.get("/?gallery=yard&like=1&reason=case+9")
    assert "red.jpg" in page.text
    assert deeds(filled)[-1].image_ids == (1,)


def test_page_that_renews_itself_is_a_row_a_minute_or_for_each_new_picture(
    filled: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def num_searches(query: str = "text=red") -> int:
        assert filled.http.get(f"/?gallery=street&{query}").status_code == 200
        return len([deed for deed in deeds(filled) if deed.action == "search"])

    assert [num_searches() for _ in range(2)] == [1, 2]  # it does not renew itself: both were asked
    waits = {"state": "pending", "claimable_at": datetime(2100, 1, 1, tzinfo=UTC)}
    with filled.services.catalogue.database.write() as connection:
        connection.execute(update(images).where(images.c.id == 1).values(**waits))
    assert [num_searches() for _ in range(2)] == [3, 3]
    assert num_searches("text=red&reason=case+9") == 4
    assert num_searches("text=red&camera=gate-2") == 5
    filled.upload(("green.jpg", picture("green")))
    deadline = time.monotonic() + 20
    while filled.services.catalogue.gallery("street").counts.searchable < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    filled.services.model.live_index.catch_up()
    assert [num_searches() for _ in range(2)] == [6, 6]
    assert deeds(filled)[-1].image_ids == (1, 3, 2)
    assert filled.search(text="red").status_code == 200  # a program's each count
    assert num_searches() == 7
    monkeypatch.setattr("app.access.shown.SAME_FOR_S", -1.0)
    assert [num_searches("text=blue") for _ in range(2)] == [8, 9]


def test_thumbnails_of_results_are_in_the_row_of_their_search(filled: Api) -> None:
    filled.search(text="red", limit=1)
    assert filled.http.get("/images/1/thumbnail").status_code == 200
    assert len(deeds(filled)) == 1
    for _ in range(2):
        assert filled.http.get("/images/2/thumbnail").status_code == 200
    assert [(deed.action, deed.what, deed.image_ids) for deed in deeds(filled)[1:]] == [
        ("view", "thumbnail", (2,))
    ]


@pytest.mark.parametrize(
    ("path", "what"), [("/images/1/content", "content"), ("/pictures/1", "page")]
)
def test_each_look_at_a_whole_picture_is_recorded(filled: Api, path: str, what: str) -> None:
    for _ in range(2):
        assert filled.http.get(path).status_code == 200
    looks = [deed for deed in deeds(filled) if deed.what == what]
    assert [(deed.action, deed.gallery, deed.image_ids) for deed in looks] == [
        ("view", "street", (1,))
    ] * 2


def test_page_is_recorded_as_the_api_is(filled: Api) -> None:
    assert filled.http.get("/?gallery=street").status_code == 200
    assert filled.http.get("/?gallery=street&text=red&reason=case+9").status_code == 200
    samples, search = deeds(filled)
    assert (samples.action, samples.what, set(samples.image_ids)) == ("view", "samples", {1, 2})
    assert (search.action, search.what, search.reason) == ("search", "red", "case 9")


def test_deletions_are_recorded(filled: Api) -> None:
    assert filled.http.delete("/images/1?reason=asked+to").status_code == 204
    assert filled.http.delete("/galleries/street").status_code == 204
    assert [(deed.action, deed.image_ids, deed.reason) for deed in deeds(filled)] == [
        ("delete", (1,), "asked to"),
        ("delete", (), None),
    ]
    assert_problem(filled.http.delete("/images/1"), 404, "image_not_found")
    assert len(deeds(filled)) == 2


def test_deletion_that_is_refused_is_told_so(filled: Api) -> None:
    filled.services.catalogue.change_image(1, {"legal_hold": "case 7"})
    for path in ("/images/1", "/galleries/street"):
        assert_problem(filled.http.delete(path), 409, "legal_hold")
    told = [(deed.action, deed.image_ids, deed.what) for deed in deeds(filled)]
    one, whole = "image 1", "image 1 of gallery 'street'"
    assert [(kind, ids) for kind, ids, _ in told] == [("delete", (1,))] * 2 + [("delete", ())] * 2
    assert told[0][2] is None
    assert str(told[1][2]).startswith(f"not done: {one} ")
    assert told[2][2] == "the whole gallery"
    assert str(told[3][2]).startswith(f"not done: {whole} ")
    assert filled.services.catalogue.image(1).state == "searchable"


def test_key_changes_are_recorded_without_the_secret(api: Api) -> None:
    made = api.post("/keys", {"name": "ops", "scopes": ["admin"]})
    assert made.status_code == 201
    secret = made.json()["secret"]
    headers = {"authorization": f"Bearer {secret}"}
    assert api.http.delete("/keys/ops", headers=headers).status_code == 204
    create, revoke = deeds(api)
    assert (create.who, create.action, create.what) == (
        "local",
        "keys",
        "create ops for admin in all galleries",
    )
    assert (revoke.who, revoke.key_id, revoke.what) == ("ops", 1, "revoke ops")
    assert secret not in str(deeds(api))


def test_key_change_that_is_refused_leaves_no_row(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    secret, _ = api.services.catalogue.keys.create("ops", ["admin"])
    api.http.headers["authorization"] = f"Bearer {secret}"
    assert_problem(api.post("/keys", {"name": "ops", "scopes": ["search"]}), 409, "key_exists")
    past = {"name": "late", "scopes": ["search"], "expires_at": "2020-01-01T00:00:00Z"}
    assert_problem(api.post("/keys", past), 422, "invalid_key")
    # Who was given a leaked key may take it for its name: it must not stand in a log.
    with caplog.at_level("INFO", logger="passerby.http"):
        assert_problem(api.http.delete(f"/keys/{secret}"), 404, "key_not_found")
    assert "DELETE /keys/passerby_..." in caplog.text
    assert secret not in caplog.text
    assert deeds(api) == []


def test_gallery_that_asks_for_a_reason_shows_nothing_without_one(filled: Api) -> None:
    require_reason(filled)
    assert_problem(filled.search(text="red"), 422, "reason_required")
    assert_problem(filled.search(text="red", reason="  "), 422, "validation_failed")
    for path in ("images/1", "images/1/content", "images/1/thumbnail", "galleries/street/images"):
        response = filled.http.get(f"/{path}")
        assert response.status_code == 422
        assert_problem(response, 422, "reason_required")
    assert filled.http.get("/pictures/1").status_code == 422
    page = filled.http.get("/?gallery=street")
    assert page.status_code == 200
    assert 'name="reason"' in page.text
    assert "/images/1/thumbnail" not in page.text
    assert filled.http.get("/?gallery=street&text=red").status_code == 422
    assert deeds(filled) == []


def test_reason_of_a_search_holds_for_what_is_looked_at_next(filled: Api) -> None:
    require_reason(filled)
    assert filled.search(text="red", reason="case 12").status_code == 200
    assert filled.http.get("/images/2/content").status_code == 200
    assert filled.http.get("/images/2/content?reason=case+13").status_code == 200
    assert [deed.reason for deed in deeds(filled)] == ["case 12", "case 12", "case 13"]


def test_what_can_not_be_recorded_does_not_happen(filled: Api) -> None:
    with filled.services.catalogue.database.write() as connection:
        connection.execute(text("ALTER TABLE audit RENAME TO audit_gone"))
    calls = [
        lambda: filled.search(text="red"),
        lambda: filled.http.get("/images/1/content"),
        lambda: filled.http.get("/images/1/thumbnail"),
        lambda: filled.http.delete("/images/1"),
        lambda: filled.http.delete("/galleries/street"),
        lambda: filled.post("/keys", {"name": "ops", "scopes": ["admin"]}),
    ]
    for call in calls:
        assert call().status_code >= 500
    with filled.services.catalogue.database.write() as connection:
        connection.execute(text("ALTER TABLE audit_gone RENAME TO audit"))
    assert filled.services.catalogue.keys.all() == []
    assert filled.http.get("/galleries/street").json()["counts"]["searchable"] == 2


def test_audit_log_is_read_in_pages_and_reading_is_recorded(filled: Api) -> None:
    for number in range(3):
        filled.search(text="red", reason=f"case {number}")
    first = filled.http.get("/audit?limit=2").json()
    assert [row["reason"] for row in first["rows"]] == ["case 0", "case 1"]
    rest = filled.http.get(f"/audit?after_seq={first['next_after_seq']}").json()
    assert [row["action"] for row in rest["rows"]] == ["search", "export", "export"]
    assert rest["next_after_seq"] is None
    assert json.dumps(first["rows"][0]["image_ids"]) == "[1, 2]"
