"""Fixtures of the datasets' tests."""

from collections.abc import Iterator

import pytest

from model.config import SyntheticConfig
from model.data import synthetic_set


@pytest.fixture
def drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """People are drawn by this process: starting others takes longer than drawing a few."""

    def draw_many(
        first: int, num: int, config: SyntheticConfig, image_size: tuple[int, int]
    ) -> Iterator[synthetic_set.Drawn]:
        for i in range(num):
            yield synthetic_set._draw_person((first + i, config, image_size))

    monkeypatch.setattr(synthetic_set, "_draw_many", draw_many)
