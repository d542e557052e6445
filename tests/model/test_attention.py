"""The explanation says what it claims, on people whose every pixel is known."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from model import load_encoder
from model.attention import Attention, explain, make_twin, roll_out
from model.data.synthetic import draw_identity, people
from model.encoder import DualEncoder
from model.tokens import MASK_TOKEN, tokenize
from model.words import find_words
from tests.model.conftest import TINY

NUM_PEOPLE = 30
PIXELS = torch.randint(0, 256, (3, 32, 16), dtype=torch.uint8)


@pytest.fixture(scope="module")
def shipped() -> DualEncoder:
    return load_encoder("small", "cpu")


@pytest.fixture
def deep_encoder() -> DualEncoder:
    torch.manual_seed(0)
    vision, text = {**TINY.vision, "layers": 3}, {**TINY.text, "layers": 2}
    return DualEncoder(replace(TINY, vision=vision, text=text)).eval()


def test_twin_gives_the_encoders_own_features(deep_encoder: DualEncoder) -> None:
    pixels = torch.randint(0, 256, (3, 3, 32, 16), dtype=torch.uint8)
    tokens_BL = tokenize(["a man", "a woman in a long red coat", "someone"])
    image_BD, text_BD = make_twin(deep_encoder)(pixels, tokens_BL)
    expected = deep_encoder.encode_image(pixels), deep_encoder.encode_text(tokens_BL)
    for raw_BD, unit_BD in zip((image_BD, text_BD), expected, strict=True):
        unit = torch.nn.functional.normalize(raw_BD.detach(), dim=-1)
        torch.testing.assert_close(unit, unit_BD, atol=1e-5, rtol=0)


def test_explaining_leaves_the_encoder_as_it_was(deep_encoder: DualEncoder) -> None:
    before = {name: tensor.clone() for name, tensor in deep_encoder.state_dict().items()}
    kinds = [type(module) for module in deep_encoder.modules()]
    deep_encoder.train()
    explain(deep_encoder, PIXELS, "a man in a red coat")
    assert all(torch.equal(before[name], t) for name, t in deep_encoder.state_dict().items())
    assert [type(module) for module in deep_encoder.modules()] == kinds
    assert all(parameter.grad is None for parameter in deep_encoder.parameters())
    assert deep_encoder.training


def test_explaining_disturbs_no_encoding_beside_it(deep_encoder: DualEncoder) -> None:
    pixels = torch.randint(0, 256, (2, 3, 32, 16), dtype=torch.uint8)
    expected, alone = deep_encoder.encode_image(pixels), explain(deep_encoder, PIXELS, "a red coat")
    wrong: list[str] = []
    stop = threading.Event()

    def encode() -> None:
        while not stop.is_set():
            if not torch.equal(deep_encoder.encode_image(pixels), expected):
                wrong.append("encoded")

    thread = threading.Thread(target=encode)
    thread.start()
    for _ in range(20):
        beside = explain(deep_encoder, PIXELS, "a red coat")
        if not np.allclose(beside.grid_RC, alone.grid_RC, atol=1e-5) or beside.words != alone.words:
            wrong.append("explained")
    stop.set()
    thread.join()
    assert not wrong


def test_frozen_weights_and_inference_mode_explain_the_same(deep_encoder: DualEncoder) -> None:
    expected = explain(deep_encoder, PIXELS, "a red coat")
    deep_encoder.requires_grad_(False)
    with torch.inference_mode():
        frozen = explain(deep_encoder, PIXELS, "a red coat")
    np.testing.assert_allclose(frozen.grid_RC, expected.grid_RC, atol=1e-5)


def test_attention_is_shaped_as_picture_and_text(deep_encoder: DualEncoder) -> None:
    found = explain(deep_encoder, PIXELS, "a man, in a T-shirt ...")
    assert [word.word for word in found.words] == ["a", "man", "in", "a", "T-shirt"]
    assert max(word.weight for word in found.words) == 1
    assert found.grid_RC.shape == (4, 2)
    assert found.grid_RC.dtype == np.float32
    assert 0 <= found.grid_RC.min() <= found.grid_RC.max() == 1
    image_D = deep_encoder.encode_image(PIXELS[None])[0]
    text_D = deep_encoder.encode_text(["a man, in a T-shirt ..."])[0]
    assert found.similarity == pytest.approx(float(image_D @ text_D), abs=1e-5)
    assert explain(deep_encoder, PIXELS, "?!").words == ()


def test_words_that_were_cut_weigh_nothing(deep_encoder: DualEncoder) -> None:
    words = explain(deep_encoder, PIXELS, "red " * 80).words
    assert len(words) == 80
    assert all(word.weight > 0 for word in words[:75])
    assert all(word.weight == 0 for word in words[75:])


def test_roll_out_follows_two_blocks_by_hand() -> None:
    first = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    second = torch.tensor([[0.2, 0.8], [0.6, 0.4]])
    gradient = torch.tensor([[1.0, -1.0], [2.0, 1.0]])
    maps = [torch.stack([m, m])[None] for m in (first, second)]  # two heads
    gradients = [torch.stack([gradient, torch.zeros(2, 2)])[None]] * 2
    one = torch.eye(2) + torch.tensor([[0.25, 0.0], [0.0, 0.5]])
    two = one + torch.tensor([[0.1, 0.0], [0.6, 0.2]]) @ one
    torch.testing.assert_close(roll_out(maps, gradients), two)


def test_towers_without_a_class_token_are_refused() -> None:
    pooled = DualEncoder(replace(TINY, vision={**TINY.vision, "pool_type": "avg"}))
    with pytest.raises(ValueError, match="expected CLIP's towers"):
        explain(pooled, PIXELS, "a man")


def test_heat_map_has_the_pictures_size_and_the_grids_places() -> None:
    grid = np.zeros((4, 2), np.float32)
    grid[3, 0] = 1
    heat = Attention((), grid, 0.5).heat_map(64, 20)
    assert heat.shape == (64, 20)
    assert np.unravel_index(heat.argmax(), heat.shape)[0] >= 48
    assert heat[:32].max() < 0.02


def _draw(identity: int) -> tuple[NDArray[np.uint8], str, NDArray[np.bool_]]:
    """A picture, a caption, and which pixels are the person's: those that differ without them."""
    drawn = draw_identity(identity, seed=0, num_pictures=1, num_captions=1)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(people, "draw_person", lambda *_: None)
        empty = draw_identity(identity, seed=0, num_pictures=1, num_captions=1)[0]
    difference = np.asarray(drawn.image).astype(int) - np.asarray(empty.image)
    return np.asarray(drawn.image), drawn.captions[0], np.abs(difference).max(axis=2) > 24


@pytest.fixture(scope="module")
def explained(
    shipped: DualEncoder,
) -> Iterator[list[tuple[torch.Tensor, str, NDArray[np.bool_], Attention]]]:
    height, width = shipped.image_size
    found = []
    for identity in range(20_000_000, 20_000_000 + NUM_PEOPLE):  # nobody of the training split
        picture, caption, person = _draw(identity)
        small = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)
        found.append((pixels, caption, person, explain(shipped, pixels, caption)))
    yield found


def test_heaviest_word_is_missed_most_when_it_is_masked(
    shipped: DualEncoder,
    explained: list[tuple[torch.Tensor, str, NDArray[np.bool_], Attention]],
) -> None:
    drops = {"heaviest": [], "any": [], "lightest": []}  # type: dict[str, list[float]]
    for pixels, caption, _, attention in explained:
        words = find_words(caption)
        tokens_VL = tokenize([caption]).repeat(len(words), 1)
        for row, word in zip(tokens_VL, words, strict=True):
            row[list(word.tokens)] = MASK_TOKEN
        image_D = shipped.encode_image(pixels[None])[0]
        drop_V = attention.similarity - (shipped.encode_text(tokens_VL) @ image_D).numpy()
        weights = [word.weight for word in attention.words]
        drops["heaviest"].append(float(drop_V[int(np.argmax(weights))]))
        drops["any"].append(float(drop_V.mean()))
        drops["lightest"].append(float(drop_V[int(np.argmin(weights))]))
    means = {name: np.mean(values) for name, values in drops.items()}
    assert means["heaviest"] > 3 * means["any"] > 3 * means["lightest"], means


def test_person_weighs_more_than_the_background(
    explained: list[tuple[torch.Tensor, str, NDArray[np.bool_], Attention]],
) -> None:
    higher = []
    for _, _, person, attention in explained:
        heat = attention.heat_map(*person.shape)
        higher.append(heat[person].mean() > 1.5 * heat[~person].mean())
    assert np.mean(higher) > 0.8, higher
