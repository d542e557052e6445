"""The towers as few large products, against open_clip's, on any machine."""

from dataclasses import replace

import pytest
import torch

from model.config import Architecture
from model.encoder import DualEncoder
from model.runtime.layers import is_plain
from model.runtime.plain_towers import PlainImageTower, PlainTextTower
from model.tokens import tokenize
from tests.model.conftest import TINY

DEEP = replace(TINY, vision={**TINY.vision, "layers": 3}, text={**TINY.text, "layers": 3})
BARE = replace(DEEP, vision={**DEEP.vision, "no_ln_pre": True})
TEXTS = ["a man", "a woman in a long red coat with a grey backpack and white shoes", "someone"]


@pytest.mark.parametrize("architecture", [TINY, DEEP, replace(DEEP, quick_gelu=False), BARE])
@pytest.mark.parametrize(
    ("dtype", "at_least"),
    [(torch.float32, 0.999999), (torch.bfloat16, 0.9995), (torch.float16, 0.9999)],
)
def test_towers_give_the_encoders_vectors(
    architecture: Architecture, dtype: torch.dtype, at_least: float
) -> None:
    torch.manual_seed(0)
    encoder = DualEncoder(architecture).eval()
    assert is_plain(encoder)
    pixels_BHW3 = torch.randint(0, 256, (4, 32, 16, 3), dtype=torch.uint8)
    tokens_BL = torch.nn.functional.pad(tokenize(TEXTS), (0, 3))
    with torch.inference_mode():
        image_BD = PlainImageTower(encoder, dtype)(pixels_BHW3)
        text_BD = PlainTextTower(encoder, dtype)(tokens_BL)
    for ours, expected in (
        (image_BD, encoder.encode_image(pixels_BHW3.permute(0, 3, 1, 2))),
        (text_BD, encoder.encode_text(tokens_BL)),
    ):
        assert ours.dtype == torch.float32
        assert float((ours * expected).sum(dim=1).min()) >= at_least


def test_other_towers_are_not_simplified() -> None:
    """One whose pictures leave part of a patch at the edge is cut otherwise there."""
    pooled = replace(TINY, vision={**TINY.vision, "pool_type": "avg"})
    scaled = replace(TINY, vision={**TINY.vision, "ls_init_value": 0.1})
    for architecture in (pooled, scaled, replace(TINY, image_size=(36, 16))):
        assert not is_plain(DualEncoder(architecture))
