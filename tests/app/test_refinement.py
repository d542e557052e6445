"""Marking hits as right and wrong: the search moves, and what was marked is on record and shown."""

from __future__ import annotations

import numpy as np
import pytest

from app.query.refinement import refine
from tests.app.conftest import Api, assert_problem, both_databases, both_indexes
from tests.app.files import picture


def test_refine_moves_towards_the_liked_and_away_from_the_unliked() -> None:
    query_D, right_D, wrong_D = np.eye(3, dtype=np.float32)
    refined_D = refine(query_D, right_D[None], wrong_D[None])
    assert np.linalg.norm(refined_D) == pytest.approx(1, abs=1e-6)
    assert refined_D @ right_D > 0 > refined_D @ wrong_D
    twice_D = refine(query_D, np.stack([right_D, right_D]), wrong_D[None])
    assert np.allclose(twice_D, refined_D), "a mean, not a sum"
    none = np.empty((0, 3), np.float32)
    assert np.allclose(refine(query_D, none, none), query_D)
    assert np.allclose(refine(None, right_D[None], none), right_D)
    with pytest.raises(ValueError, match="cancel"):
        refine(-2 * right_D, right_D[None], none)


@both_databases
@both_indexes
def test_marks_change_the_ranking(api: Api) -> None:
    red, green, blue, green_too = api.fill(
        *((f"{n}.jpg", picture(c, n)) for n, c in enumerate(("red", "green", "blue", "green")))
    )

    def ids(**asked: object) -> list[int]:
        return [hit["image_id"] for hit in api.search(**asked).json()["results"]]

    assert ids(text="red")[0] == red
    assert ids(text="red", like=[green])[:2] == [green, green_too], "the liked one stays"
    assert ids(text="red", unlike=[red]) == [
        image_id for image_id in ids(text="red") if image_id != red
    ]
    assert ids(like=[blue])[0] == blue
    assert set(ids(image_id=green, like=[blue], unlike=[red])) == {blue, green_too}
    page = api.search(text="red", like=[green], limit=1).json()
    more = {"limit": 9, "cursor": page["next_cursor"]}
    rest = ids(text="red", like=[green], **more)
    assert [page["results"][0]["image_id"], *rest] == ids(text="red", like=[green])
    assert_problem(api.search(text="red", like=[blue], **more), 422, "validation_failed")
    deeds = [row.deed for row in api.services.catalogue.audit.rows()]
    told = [deed.what for deed in deeds if deed.action == "search"]
    assert f"red, like [{green}]" in told
    assert f"like image {green}, like [{blue}], unlike [{red}]" in told


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"unlike": [1]}, "exactly one"),
        ({"text": "red", "like": [1], "unlike": [1]}, "same picture"),
        ({"text": "red", "like": [0]}, "greater"),
        ({"text": "red", "like": list(range(1, 60))}, "50"),
    ],
)
def test_marks_that_are_none(shared_api: Api, asked: dict[str, object], said: str) -> None:
    problem = assert_problem(shared_api.search(**asked), 422, "validation_failed")
    assert said in problem["detail"]


def test_marked_picture_must_be_there_and_in_sight(api: Api) -> None:
    (red,) = api.fill(("red.jpg", picture("red")))
    assert_problem(api.search(text="red", like=[404]), 404, "image_not_found")
    api.services.catalogue.create_gallery("yard")
    secret, _ = api.services.catalogue.keys.create("yard", ["search"], galleries=["yard"])
    for marks in ({"like": [red]}, {"unlike": [red]}):
        response = api.http.post(
            "/search",
            json={"gallery": "yard", "text": "red", **marks},
            headers={"authorization": f"Bearer {secret}"},
        )
        assert_problem(response, 404, "image_not_found")
