from dataclasses import replace

import pytest
import torch

from model.encoder import DualEncoder
from model.tokens import MASK_TOKEN, tokenize, used_tokens
from tests.model.conftest import TINY, VIT_B16


def test_encoder_returns_unit_float32(tiny_encoder: DualEncoder) -> None:
    pixels = torch.randint(0, 256, (3, 3, 32, 16), dtype=torch.uint8)
    for features in (tiny_encoder.encode_image(pixels), tiny_encoder.encode_text(["a", "b", "c"])):
        assert features.shape == (3, 16)
        assert features.dtype == torch.float32
        torch.testing.assert_close(features.norm(dim=1), torch.ones(3))


def test_trimmed_text_equals_open_clips_own_padded_forward(tiny_encoder: DualEncoder) -> None:
    texts = ["a man", "a woman in a long red coat with a bag"]
    tokens_BL = tokenize(texts)
    padded = torch.zeros(2, 77, dtype=torch.long)
    padded[:, : tokens_BL.shape[1]] = tokens_BL
    torch.testing.assert_close(
        tiny_encoder.text_features(tokens_BL), tiny_encoder.clip.encode_text(padded)
    )


def test_uint8_and_normalised_pixels_agree(tiny_encoder: DualEncoder) -> None:
    pixels = torch.randint(0, 256, (2, 3, 32, 16), dtype=torch.uint8)
    mean = torch.tensor(TINY.image_mean).view(3, 1, 1)
    std = torch.tensor(TINY.image_std).view(3, 1, 1)
    normalised = (pixels / 255 - mean) / std
    torch.testing.assert_close(
        tiny_encoder.encode_image(pixels), tiny_encoder.encode_image(normalised)
    )


def test_encoder_refuses_pictures_of_another_size(tiny_encoder: DualEncoder) -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 3, 32, 16\), got \(1, 3, 16, 32\)"):
        tiny_encoder.encode_image(torch.zeros(1, 3, 16, 32, dtype=torch.uint8))


def test_fingerprint_tells_weights_and_architecture_apart() -> None:
    torch.manual_seed(0)
    one = DualEncoder(TINY)
    other = DualEncoder(TINY)
    same = DualEncoder(TINY)
    same.load_state_dict(one.state_dict())
    assert one.fingerprint == same.fingerprint != other.fingerprint
    squashed = DualEncoder(replace(TINY, image_mean=(0.5, 0.5, 0.5)))
    squashed.load_state_dict(one.state_dict())
    assert squashed.fingerprint != one.fingerprint


def test_published_architecture_has_the_published_size() -> None:
    with torch.device("meta"):
        encoder = DualEncoder(VIT_B16)
    assert sum(p.numel() for p in encoder.parameters()) == 149_617_665
    assert encoder.clip.visual.grid_size == (24, 8)


def test_hidden_tokens_are_heard_as_the_mask_token(tiny_encoder: DualEncoder) -> None:
    before = tiny_encoder.fingerprint
    heard = tiny_encoder.encode_text(["a man in red"])
    tiny_encoder.hide_tokens_but(used_tokens(tokenize(["a man in red"])))
    assert tiny_encoder.fingerprint != before
    torch.testing.assert_close(tiny_encoder.encode_text(["a man in red"]), heard)
    unknown = tokenize(["a man in chartreuse"])
    masked = unknown.clone()
    masked[0, 4:-1] = MASK_TOKEN
    torch.testing.assert_close(tiny_encoder.encode_text(unknown), tiny_encoder.encode_text(masked))


def test_unknown_architecture_field_is_refused() -> None:
    with pytest.raises(ValueError, match=r"architecture: open_clip refuses it: .*depth"):
        DualEncoder(replace(TINY, vision={"depth": 3}))
