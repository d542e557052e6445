"""Likely there or not: what a search says, and when it had better say nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.commands.search import say_verdict
from app.main import create_app
from app.query.schemas import Verdict
from app.query.verdict import Judge
from app.settings import Settings
from app.wiring import build_services
from indexer.records import Filters
from tests.app.conftest import URL, Api
from tests.app.files import picture
from tests.colours import CalibratedColours
from tests.conftest import ColourEncoder

RED = "a person in a red coat"
WHITE = "a person in a white coat"


class FakeIndex:
    """120 red pictures, or as many as are said; counts how often it is asked."""

    def __init__(self, matches: int = 120) -> None:
        self.matches, self.asked = matches, 0

    def look(self, gallery: str, see: object) -> tuple[NDArray[np.float16], int]:
        self.asked += 1
        pixels = np.zeros((self.matches, 32, 16, 3), np.uint8)
        pixels[..., 0] = 200
        pixels[..., 1] = np.arange(self.matches)[:, None, None] % 90
        return ColourEncoder().encode_image(pixels).astype(np.float16), self.matches


@pytest.fixture
def make_judge() -> Callable[[FakeIndex], Judge]:
    def make(index: FakeIndex) -> Judge:
        encoder = CalibratedColours()
        return Judge(encoder, encoder.calibration, index)  # type: ignore[arg-type]

    return make


def generation(seq: int) -> SimpleNamespace:
    return SimpleNamespace(seq=seq)


def test_judge_tells_who_is_there_from_who_is_not(
    make_judge: Callable[[FakeIndex], Judge],
) -> None:
    judge = make_judge(FakeIndex())
    there = judge.judge("street", Filters(), RED, 0.98, generation(1))  # type: ignore[arg-type]
    gone = judge.judge("street", Filters(), WHITE, -0.4, generation(1))  # type: ignore[arg-type]
    short = judge.judge("street", Filters(), "red coat", 0.98, generation(1))  # type: ignore[arg-type]
    assert there and gone and short
    assert (there.match, gone.match, short.match) == ("likely", "unlikely", "unclear")
    assert there.false_alarm_rate < 0.05 < gone.false_alarm_rate
    assert gone.miss_rate < 0.05 < there.miss_rate
    assert "too few words" in short.explained


def test_judge_is_warmed_before_the_first_search() -> None:
    encoder = CalibratedColours()
    encoded: list[str] = []
    encode = encoder.encode_text
    encoder.encode_text = lambda texts: [encoded.extend(texts), encode(texts)][1]  # type: ignore
    judge = Judge(encoder, encoder.calibration, FakeIndex())  # type: ignore[arg-type]
    judge.warm(threading.Event())
    references = [text for texts in encoder.calibration.reference for text in texts]
    assert encoded == references
    assert judge.judge("street", Filters(), RED, 0.99, generation(1)) is not None  # type: ignore
    assert encoded == references, "no search makes them again"
    stopped = threading.Event()
    stopped.set()
    Judge(encoder, encoder.calibration, FakeIndex()).warm(stopped)  # type: ignore[arg-type]
    assert encoded == references


def test_judge_looks_at_pictures_once_a_generation_and_filter(
    make_judge: Callable[[FakeIndex], Judge], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FakeIndex()
    judge = make_judge(index)
    asked = []
    for filters, seq in [
        (Filters(), 1),
        (Filters(), 1),
        (Filters(), 2),  # pictures arrive: the fit of a moment ago will do
        (Filters(cameras=frozenset({"a"})), 2),
    ]:
        judge.judge("street", filters, RED, 0.9, generation(seq))  # type: ignore[arg-type]
        asked.append(index.asked)
    assert asked == [1, 1, 1, 2]
    monkeypatch.setattr("app.query.verdict.FRESH_S", 0.0)
    judge.judge("street", Filters(), RED, 0.9, generation(3))  # type: ignore[arg-type]
    assert index.asked == 3


def test_judge_says_nothing_of_too_few_or_equal_pictures(
    make_judge: Callable[[FakeIndex], Judge],
) -> None:
    few = make_judge(FakeIndex(99))
    assert few.judge("street", Filters(), RED, 0.9, generation(1)) is None  # type: ignore[arg-type]


def test_search_gives_a_verdict_where_it_can(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    services = build_services(settings, with_worker=True, encoder=CalibratedColours())
    with TestClient(create_app(settings, services), base_url=URL) as http:
        api = Api(http, services)
        services.catalogue.create_gallery("street")
        ids = api.fill(*((f"{n}.jpg", picture("red", n)) for n in range(100)))

        there = api.search(text=RED, limit=3).json()
        assert there["verdict"]["match"] == "likely"
        assert api.search(text=WHITE, limit=3).json()["verdict"]["match"] == "unlikely"
        assert len(api.search(text=WHITE, limit=3).json()["results"]) == 3  # reachable all the same

        by_picture = api.search(image_id=ids[0], limit=3).json()
        next_page = api.search(text=RED, limit=3, cursor=there["next_cursor"]).json()
        filtered = api.search(text=RED, filters={"cameras": ["nowhere"]}).json()
        assert [by_picture["verdict"], next_page["verdict"], filtered["verdict"]] == [None] * 3


def test_search_without_calibration_gives_none(shared_api: Api) -> None:
    assert shared_api.services.model.judge is None
    assert shared_api.search(text=RED).json()["verdict"] is None


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ("likely", "2% find as good a fit. A lead, never evidence"),
        ("unclear", "It is open whether the person is here. Explained."),
        ("unlikely", "Nobody here fits well: of descriptions of people who are here, 70%"),
    ],
)
def test_terminal_says_it_too(match: Literal["likely", "unclear", "unlikely"], said: str) -> None:
    verdict = Verdict(match=match, false_alarm_rate=0.021, miss_rate=0.7, explained="Explained.")
    assert said in say_verdict(verdict)
