"""Parts of descriptions, and what each does for the similarity."""

import pytest
import torch
import torch.nn.functional as F

from model.encoder import DualEncoder
from model.parts import find_parts, weigh_parts
from tests.model.conftest import TINY


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "a woman in a red coat with a grey backpack",
            ["a woman", "a red coat", "a grey backpack"],
        ),
        (
            "a red and white striped shirt and burgundy trousers",
            ["a red and white striped shirt", "burgundy trousers"],
        ),
        ("Her jacket is black and her skirt is blue.", ["jacket is black", "skirt is blue"]),
        ("dark hair in a ponytail and is carrying a bag", ["dark hair", "a ponytail", "a bag"]),
        ("someone, no hat", ["someone", "no hat"]),
        ("red", ["red"]),
        ("in the and of", []),
        ("", []),
    ],
)
def test_parts_are_the_things_that_are_named(text: str, parts: list[str]) -> None:
    found = find_parts(text)
    assert [part.text for part in found] == parts
    assert all(text[part.start : part.end] == part.text for part in found)


def test_effect_is_what_leaving_a_part_out_costs() -> None:
    torch.manual_seed(0)
    encoder = DualEncoder(TINY).eval()
    image_D = F.normalize(torch.randn(encoder.dim), dim=0)
    red, bag = weigh_parts(encoder, image_D, "a red coat with a bag")
    whole, without_coat, without_bag = (
        float(encoder.encode_text([text])[0] @ image_D)
        for text in ("a red coat with a bag", " with a bag", "a red coat with ")
    )
    assert (red.part.text, bag.part.text) == ("a red coat", "a bag")
    assert red.effect == pytest.approx(whole - without_coat, abs=1e-5)
    assert bag.effect == pytest.approx(whole - without_bag, abs=1e-5)
    assert weigh_parts(encoder, image_D, "a red coat") == ()
