"""What is denied is parted from what is said, reported, and not searched for."""

from __future__ import annotations

import pytest

from app.query.negation import split_negation
from tests.app.conftest import Api
from tests.app.files import picture


@pytest.mark.parametrize(
    ("text", "affirmed", "negated"),
    [
        ("a man in a red coat, no hat", "a man in a red coat", ("hat",)),
        ("a man without a hat in a red coat", "a man in a red coat", ("hat",)),
        ("a woman not wearing glasses, blue jeans", "a woman, blue jeans", ("glasses",)),
        ("A man in black. He is not carrying a bag.", "A man in black.", ("bag",)),
        ("a man with no bag and a green cap", "a man and a green cap", ("bag",)),
        ("no hat, no glasses, red shirt", "red shirt", ("hat", "glasses")),
        ("a girl without a bag or an umbrella", "a girl", ("bag", "umbrella")),
        ("She doesn't wear a scarf but a grey hat", "but a grey hat", ("scarf",)),
        ("a boy without any black baseball cap", "a boy", ("black baseball cap",)),
    ],
)
def test_split_negation_parts_what_is_denied(
    text: str, affirmed: str, negated: tuple[str, ...]
) -> None:
    found = split_negation(text)
    assert found.negated == negated
    assert found.affirmed == affirmed


@pytest.mark.parametrize(
    "text",
    [
        "a man with no hair in a blue coat",
        "a woman in a north face jacket, nose ring, not far from the gate",
        "no hat",
        "without a bag",
        "ein Mann ohne Hut",
        "",
        "x" * 2000,
        "no " * 600,
    ],
)
def test_split_negation_leaves_the_rest(text: str) -> None:
    assert split_negation(text).affirmed == text
    assert split_negation(text).negated == ()


def test_search_says_what_it_left_out(api: Api) -> None:
    api.fill(("red.jpg", picture("red")), ("blue.jpg", picture("blue")))
    found = api.search(text="someone in red, no blue hat").json()
    assert found["negated"] == ["blue hat"]
    assert found["results"] == api.search(text="someone in red").json()["results"]
    assert api.search(text="someone in red").json()["negated"] == []
    page = api.http.get("/?gallery=street&text=someone+in+red,+no+blue+hat").text
    assert "blue hat" in page
    assert "left out of the search" in page
