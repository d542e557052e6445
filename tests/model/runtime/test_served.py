import numpy as np
import pytest
import torch

from model.encoder import DualEncoder
from model.runtime import Runtime


def test_runtime_speaks_arrays(tiny_encoder: DualEncoder) -> None:
    runtime = Runtime(tiny_encoder)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 32, 16, 3), dtype=np.uint8)
    vectors = runtime.encode_image(pixels)
    assert vectors.shape == (70, 16)
    assert vectors.dtype == np.float32
    one = tiny_encoder.encode_image(torch.from_numpy(pixels[69:]).permute(0, 3, 1, 2))
    np.testing.assert_allclose(vectors[69], one[0].numpy(), atol=1e-6)
    assert not runtime.is_truncated("a man in a hat")
    assert runtime.is_truncated("hat " * 80)


def test_texts_come_back_in_their_order_whatever_their_lengths(tiny_encoder: DualEncoder) -> None:
    texts = ["a man " + "in red " * (n * 7 % 40) + str(n) for n in range(70)]
    alone = np.concatenate([tiny_encoder.encode_text([text]).numpy() for text in texts])
    np.testing.assert_allclose(Runtime(tiny_encoder).encode_text(texts), alone, atol=1e-6)


def test_nothing_gives_no_vectors(tiny_encoder: DualEncoder) -> None:
    runtime = Runtime(tiny_encoder)
    assert runtime.encode_text([]).shape == (0, 16)
    assert runtime.encode_image(np.zeros((0, 32, 16, 3), np.uint8)).shape == (0, 16)


def test_pictures_of_another_size_are_refused(tiny_encoder: DualEncoder) -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 32, 16, 3\), got \(1, 16, 32, 3\)"):
        Runtime(tiny_encoder).encode_image(np.zeros((1, 16, 32, 3), np.uint8))
