"""POST /search: ranking, filters, likeness, and every wrong question."""

from __future__ import annotations

import json

import pytest

from tests.app.conftest import Api, assert_problem, both_databases, both_indexes
from tests.app.files import picture
from tests.conftest import ColourEncoder

CAMERAS = {
    "red.jpg": {"camera": "north", "captured_at": "2026-05-01T12:00:00Z", "tags": ["a", "b"]},
    "green.jpg": {"camera": "south", "captured_at": "2026-05-01T15:00:00+02:00", "tags": ["a"]},
    "blue.jpg": {"camera": "north"},
}


@pytest.fixture
def street(api: Api) -> dict[str, int]:
    """A red, a green and a blue picture: name -> id."""
    names = ("red", "green", "blue")
    ids = api.fill(*((f"{name}.jpg", picture(name)) for name in names), metadata=CAMERAS)
    return dict(zip(names, ids, strict=True))


@both_databases
@both_indexes
def test_search_ranks_and_describes(api: Api, street: dict[str, int]) -> None:
    found = api.search(text="someone in red", limit=2).json()
    first, second = found["results"]
    assert (first["rank"], first["image_id"], second["rank"]) == (1, street["red"], 2)
    assert 1 >= first["score"] > second["score"]
    assert first["file_name"] == "red.jpg"
    assert (first["camera"], first["captured_at"]) == ("north", "2026-05-01T12:00:00Z")
    assert (first["tags"], first["box"], first["external_id"]) == (["a", "b"], None, None)
    assert api.http.get(first["image_url"]).content == picture("red")
    assert api.http.get(first["thumbnail_url"]).headers["content-type"] == "image/jpeg"
    assert (found["model"], found["indexed"], found["truncated"]) == ("colour-grid", 3, False)
    assert found["generation"] >= 3
    assert all(value >= 0 for value in found["timing_ms"].values())
    assert found["timing_ms"]["index"] > 0


FILTERS: list[tuple[dict[str, object], set[str]]] = [
    ({"cameras": ["north"]}, {"red", "blue"}),
    ({"cameras": ["south", "nowhere"]}, {"green"}),
    ({"after": "2026-05-01T12:00:00Z"}, {"red", "green"}),
    ({"before": "2026-05-01T13:00:00Z"}, {"red"}),
    ({"after": "2026-05-01T12:30:00Z", "cameras": ["north"]}, set()),
    ({"tags": ["a"]}, {"red", "green"}),
    ({"tags": ["a", "b"]}, {"red"}),
]


@both_databases
@both_indexes
def test_search_filters(api: Api, street: dict[str, int]) -> None:
    for filters, expected in FILTERS:
        found = api.search(text="anyone", filters=filters).json()["results"]
        assert {hit["image_id"] for hit in found} == {street[name] for name in expected}, filters


@both_indexes
def test_search_leaves_out_low_scores(api: Api, street: dict[str, int]) -> None:
    everything = api.search(text="green").json()["results"]
    least = everything[1]["score"]
    kept = api.search(text="green", min_score=least - 1e-4).json()["results"]
    assert kept == everything[:2]
    assert api.search(text="green", min_score=1).json()["results"] == []


@both_databases
@both_indexes
def test_search_by_picture_leaves_itself_out(api: Api, street: dict[str, int]) -> None:
    (like_red,) = api.fill(("another.jpg", picture("red", 7)))
    found = api.search(image_id=street["red"], limit=3).json()["results"]
    assert found[0]["image_id"] == like_red
    assert len(found) == 3
    assert street["red"] not in {hit["image_id"] for hit in found}


def test_search_by_picture_without_vector_says_so(api: Api, street: dict[str, int]) -> None:
    api.services.model.query_vectors.model = "another-model"
    problem = assert_problem(api.search(image_id=street["red"]), 409, "image_not_searchable")
    assert str(street["red"]) in problem["detail"]


@both_databases
def test_search_fills_up_when_the_index_is_behind(
    api: Api, street: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process deletes the best hit; this one's index has not heard of it."""
    api.services.catalogue.holdings.remove_image(street["red"])
    real, stale = api.services.model.live_index.search, []

    def search_stale(*args: object, **kwargs: object) -> object:
        ranking = real(*args, **kwargs)  # type: ignore[arg-type]
        stale.append(any(hit.image_id == street["red"] for hit in ranking.hits))
        return ranking

    monkeypatch.setattr(api.services.model.live_index, "search", search_stale)
    found = api.search(text="red", limit=2).json()["results"]
    assert {hit["image_id"] for hit in found} == {street["green"], street["blue"]}
    assert stale[-1] is False


def test_search_encodes_a_repeated_query_once(
    api: Api, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = encoder.encode_text
    monkeypatch.setattr(
        ColourEncoder, "encode_text", lambda self, texts: asked.extend(texts) or real(texts)
    )
    answers = [api.search(text=text).json() for text in ("a red coat", "  a red\n\x00coat ")]
    assert asked == ["a red coat"]
    assert answers[0]["results"] == answers[1]["results"]


@pytest.mark.parametrize(
    "text",
    [
        "🧍🏽‍♀️🔴👖",
        "一个穿红色外套的女人",
        "امرأة ترتدي سترة حمراء",
        "женщина в красной куртке",
        "אישה במעיל אדום",
        "लाल जैकेट पहने महिला",
        "\u202eevil\u202c red",
        "red\x00\x07\x1b[31m",
        "\U000e0001\u200b\ufeff",
        "x" * 2000,
    ],
)
def test_search_answers_any_text(shared_api: Api, text: str) -> None:
    response = shared_api.search(text=text)
    assert response.status_code == 200, response.text
    assert len(response.json()["results"]) == 1


def test_search_says_when_the_text_was_cut(api: Api) -> None:
    assert api.search(text="red " * 30).json()["truncated"] is True


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"text": ""}, "text", "empty"),
        ({"text": " \n\x00\t "}, "text", "empty"),
        ({"text": "x" * 100_000}, "text", "2000"),
        ({"text": 7}, "text", "string"),
        ({"text": "\ud800"}, "text", ""),
        ({}, "body", "exactly one"),
        ({"text": "red", "image_id": 1}, "body", "exactly one"),
        ({"image_id": 0}, "image_id", "1"),
        ({"image_id": 2**63}, "image_id", ""),
        ({"text": "red", "limit": 0}, "limit", "1"),
        ({"text": "red", "limit": 10**9}, "limit", "1000"),
        ({"text": "red", "limit": 1.5}, "limit", "integer"),
        ({"text": "red", "min_score": 2}, "min_score", "1"),
        ({"text": "red", "min_score": "NaN"}, "min_score", ""),
        ({"text": "red", "colour": "red"}, "colour", "unknown field"),
        ({"text": "red", "\ud800": 1}, None, "unknown field"),
        ({"text": "red", "filters": {"camera": "a"}}, "filters.camera", "unknown field"),
        ({"text": "red", "filters": {"after": "2026-05-01T12:00:00"}}, "filters.after", "zone"),
        ({"text": "red", "filters": {"after": "yesterday"}}, "filters.after", ""),
        (
            {"text": "red", "filters": {"before": "0001-01-01T00:00:00+14:00"}},
            "filters.before",
            "too far",
        ),
        ({"text": "red", "filters": {"cameras": ["x" * 10_000]}}, "filters.cameras.0", "200"),
        ({"text": "red", "filters": {"cameras": ["a\x00"]}}, "filters.cameras.0", "control"),
        (
            {
                "text": "red",
                "filters": {"after": "2026-05-02T00:00:00Z", "before": "2026-05-01T00:00:00Z"},
            },
            "filters",
            "earlier",
        ),
    ],
)
def test_search_names_the_wrong_field(
    shared_api: Api, body: dict[str, object], field: str | None, said: str
) -> None:
    content = json.dumps({"gallery": "street", **body})
    headers = {"content-type": "application/json"}
    response = shared_api.http.post("/search", content=content, headers=headers)
    problem = assert_problem(response, 422, "validation_failed")
    errors = {error["field"]: error["message"] for error in problem["errors"]}
    if field is not None:
        assert field in errors
        assert said in errors[field]
        assert field in problem["detail"]
    assert len(response.content) < 2000, "what was given must not be echoed"


@pytest.mark.parametrize("gallery", ["nowhere", "Not A Slug", "x\x00y", "ü", "a" * 100])
def test_search_in_an_unknown_gallery(shared_api: Api, gallery: str) -> None:
    response = shared_api.post("/search", {"gallery": gallery, "text": "red"})
    assert_problem(response, 404, "gallery_not_found")


def test_search_like_an_unknown_image(api: Api) -> None:
    assert_problem(api.search(image_id=404), 404, "image_not_found")


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b"", "application/json", 422, "validation_failed"),
        (b"[1]", "application/json", 422, "validation_failed"),
        (b"\xff\xfe", "application/json", 400, "malformed_json"),
        (b"[" * 100_000, "application/json", 400, "malformed_request"),
        (b'{"limit": ' + b"9" * 5000 + b"}", "application/json", 400, "malformed_request"),
        (b'{"text": "red"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"text": "red"}', "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"text": "' + b"x" * 2**21 + b'"}', "application/json", 413, "request_too_large"),
    ],
)
def test_search_refuses_what_is_no_question(
    shared_api: Api, content: bytes, content_type: str, status: int, code: str
) -> None:
    headers = {"content-type": content_type}
    response = shared_api.http.post("/search", content=content, headers=headers)
    assert_problem(response, status, code)


def test_search_text_is_not_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    api.search(text="a very secret scarf")
    api.http.get("/?gallery=street&text=secret")
    ours = [record for record in caplog.records if record.name.startswith("passerby")]
    logged = "\n".join(record.getMessage() for record in ours)
    assert "POST /search 200" in logged
    assert "GET / 200" in logged
    assert "secret" not in logged
