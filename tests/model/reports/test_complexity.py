import pytest
import torch

from model.config import Architecture
from model.data.records import Dataset
from model.encoder import DualEncoder
from model.reports.complexity import (
    ComplexityReport,
    count_multiply_adds,
    count_parameters,
    measure_complexity,
)
from model.reports.subject import Loaded, Subject
from tests.model.conftest import TINY, VIT_B16


def count_by_hand(architecture: Architecture) -> int:
    """Blocks of two ViT towers: projections 12 W^2 a token, attention 2 W a pair of tokens."""

    def tower(tokens: int, width: int, layers: int) -> int:
        return layers * (12 * tokens * width**2 + 2 * tokens**2 * width)

    vision, text = architecture.vision, architecture.text
    patches = architecture.image_size[0] * architecture.image_size[1] // vision["patch_size"] ** 2
    return (
        3 * architecture.image_size[0] * architecture.image_size[1] * vision["width"]
        + tower(patches + 1, vision["width"], vision["layers"])
        + tower(architecture.context_length, text["width"], text["layers"])
        + (vision["width"] + text["width"]) * architecture.embed_dim
    )


@pytest.mark.parametrize("architecture", [TINY, VIT_B16], ids=["tiny", "ViT-B/16"])
def test_multiply_adds_are_those_counted_by_hand(architecture: Architecture) -> None:
    assert count_multiply_adds(architecture) == count_by_hand(architecture)


def test_vit_b16_costs_what_was_published() -> None:
    with torch.device("meta"):
        assert count_parameters(DualEncoder(VIT_B16)) == 149_617_665
    ours = count_by_hand(VIT_B16)
    assert ours == 20_172_371_968
    # the published program projects every token of a picture, not the class token alone
    assert (ours + 192 * 768 * 512) / 1e9 == pytest.approx(20.25, abs=0.005)


def test_the_set_is_timed(tiny_encoder: DualEncoder, coloured: Dataset) -> None:
    subject = Subject("tiny", "f", None, "cuhk-pedes", "test", 32, 32, 16)
    report = ComplexityReport(
        measure_complexity([Loaded(subject, tiny_encoder, coloured.test, {})])
    )
    measured = report.measured[0]
    assert measured.encode_s > 0 and measured.rank_s > 0
    assert 2**20 < measured.peak_memory_bytes < 2**40
    rows = {row[0]: row[1:] for row in report.table().rows}
    assert rows["Zhang et al. 2025 [published]"][:2] == (149.6, 20.25)
    assert rows["Zhang et al. 2025 [published]"][4] == 34.9
