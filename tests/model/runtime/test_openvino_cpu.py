import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.encoder import DualEncoder
from model.runtime import Runtime, openvino_cpu
from model.runtime.base import Multiplied
from model.runtime.machine import Machine
from model.runtime.openvino_cpu import OpenvinoEngine, has_bfloat16
from model.runtime.quantise import LARGEST_IN_PAIRS, quantise
from model.runtime.ranges import measure_ranges
from tests.model.conftest import TINY

TEXTS = ["a man", "a woman in a long red coat with a bag", "hat " * 90, "", "a man in red"]
DEEP = replace(
    TINY,
    image_size=(64, 32),
    vision={**TINY.vision, "layers": 3},
    text={**TINY.text, "layers": 3},
    image_mean=(0.1, 0.5, 0.9),
    image_std=(0.2, 0.3, 0.4),
)


def make_encoder(*, quick_gelu: bool = True, no_ln_pre: bool = False) -> DualEncoder:
    torch.manual_seed(0)
    vision = {**DEEP.vision, "no_ln_pre": no_ln_pre}
    return DualEncoder(replace(DEEP, quick_gelu=quick_gelu, vision=vision)).eval()


def draw(batch: int) -> NDArray[np.uint8]:
    return np.random.default_rng(batch).integers(0, 256, (batch, 64, 32, 3), dtype=np.uint8)


def cosines(runtime: Runtime, encoder: DualEncoder) -> tuple[float, float]:
    """The lowest of pictures and of texts, with what torch makes of them in float32."""
    pixels = draw(5)
    image_BD = encoder.encode_image(torch.from_numpy(pixels).permute(0, 3, 1, 2)).numpy()
    text_BD = encoder.encode_text(TEXTS).numpy()
    return lowest(runtime.encode_image(pixels), image_BD), lowest(
        runtime.encode_text(TEXTS), text_BD
    )


def lowest(got_BD: NDArray[np.float32], expected_BD: NDArray[np.float32]) -> float:
    assert got_BD.shape == expected_BD.shape
    np.testing.assert_allclose(np.linalg.norm(got_BD, axis=1), 1, atol=1e-5)
    return float((got_BD.astype(np.float64) * expected_BD).sum(axis=1).min())


@pytest.mark.parametrize("quick_gelu", [True, False])
@pytest.mark.parametrize("no_ln_pre", [True, False])
def test_float32_is_torchs(quick_gelu: bool, no_ln_pre: bool) -> None:
    encoder = make_encoder(quick_gelu=quick_gelu, no_ln_pre=no_ln_pre)
    runtime = Runtime(encoder, engine=OpenvinoEngine(encoder))
    assert min(cosines(runtime, encoder)) > 1 - 1e-5
    assert runtime.engine.name == "openvino float32 on cpu"


def test_bfloat16_is_near_torchs_float32() -> None:
    if not has_bfloat16():
        pytest.skip("this CPU has no bfloat16")
    encoder = make_encoder()
    runtime = Runtime(encoder, engine=OpenvinoEngine(encoder, "bfloat16"))
    assert 0.9995 < min(cosines(runtime, encoder)) < 1 - 1e-7
    assert runtime.engine.name == "openvino bfloat16 on cpu"


@pytest.mark.parametrize("num_threads", [1, 2])
def test_text_in_bfloat16_is_the_same_to_the_last_bit_beside_others(num_threads: int) -> None:
    if not has_bfloat16():
        pytest.skip("this CPU has no bfloat16")
    encoder = make_encoder()
    runtime = Runtime(encoder, engine=OpenvinoEngine(encoder, "bfloat16", num_threads))
    assert runtime.is_steady
    texts = [f"a man {'in red ' * (number % 9)}{number}" for number in range(48)]
    alone_BD = np.concatenate([runtime.encode_text([text]) for text in texts])
    for size in (2, 3, 7, 16, 32):
        parts = [runtime.encode_text(texts[at : at + size]) for at in range(0, len(texts), size)]
        np.testing.assert_array_equal(np.concatenate(parts), alone_BD)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_int8_changes_pictures_alone(precision: Multiplied) -> None:
    if precision == "bfloat16" and not has_bfloat16():
        pytest.skip("this CPU has no bfloat16")
    encoder = make_encoder()
    plain = Runtime(encoder, engine=OpenvinoEngine(encoder, precision))
    ranges = measure_ranges(encoder, draw(8))
    runtime = Runtime(encoder, engine=OpenvinoEngine(encoder, precision, ranges=ranges))
    np.testing.assert_array_equal(runtime.encode_text(TEXTS), plain.encode_text(TEXTS))
    cosine = cosines(runtime, encoder)[0]
    assert 0.995 < cosine < cosines(plain, encoder)[0]
    assert runtime.engine.name == f"openvino {precision}, pictures int8, on cpu"
    assert runtime.fingerprint == encoder.fingerprint


def test_int8_leaves_room_for_pairs_of_products_where_a_cpu_adds_those_in_16_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = make_encoder()
    ranges = measure_ranges(encoder, draw(8))
    old = Machine("", 1, ("avx2", "avx512f"), 1, ())
    monkeypatch.setattr(openvino_cpu, "look_at_machine", lambda: old)
    runtime = Runtime(encoder, engine=OpenvinoEngine(encoder, ranges=ranges))
    assert cosines(runtime, encoder)[0] > 0.99
    for layer in quantise(encoder, ranges, LARGEST_IN_PAIRS).values():
        assert 2 * 255 * int(np.abs(layer.weight_OI).max()) < 2**15


def test_ranges_are_the_largest_that_layers_are_given() -> None:
    encoder = make_encoder()
    pixels = draw(6)
    ranges = measure_ranges(encoder, pixels)
    layers = ("attn.in", "attn.out", "mlp.in", "mlp.out")
    assert set(ranges) == {f"image.{number}.{layer}" for number in range(3) for layer in layers}
    seen: list[torch.Tensor] = []
    block = encoder.clip.visual.transformer.resblocks[1]
    handle = block.mlp.c_fc.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    encoder.encode_image(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    handle.remove()
    largest_I = seen[0].abs().amax(dim=(0, 1)).numpy()
    np.testing.assert_allclose(ranges["image.1.mlp.in"], largest_I, rtol=1e-4)


def test_many_threads_get_what_one_gets() -> None:
    encoder = make_encoder()
    runtime = Runtime(encoder, engine=OpenvinoEngine(encoder, num_threads=2))
    groups = [[f"a man {'in red ' * (n % 7)}{n}", "a woman"] for n in range(40)]
    alone = [runtime.encode_text(group) for group in groups]

    def encode(number: int) -> Sequence[NDArray[np.float32]]:
        return runtime.encode_text(groups[number]), runtime.encode_image(draw(1 + number % 3))

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(encode, range(40)))
    for number, (texts, pictures) in enumerate(together):
        np.testing.assert_allclose(texts, alone[number], atol=1e-6)
        np.testing.assert_allclose(pictures, runtime.encode_image(draw(1 + number % 3)), atol=1e-6)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_no_thread_is_bound_to_a_core() -> None:
    """All programs on a machine would have theirs on the first one."""
    runtime = Runtime(make_encoder(), engine=OpenvinoEngine(make_encoder(), num_threads=1))
    pixels, allowed = draw(64), set()
    with ThreadPoolExecutor(1) as beside:
        encoding = beside.submit(lambda: [runtime.encode_image(pixels) for _ in range(20)])
        while not encoding.done():
            for task in Path("/proc/self/task").iterdir():
                with suppress(ProcessLookupError):
                    allowed.add(len(os.sched_getaffinity(int(task.name))))
    assert allowed == {len(os.sched_getaffinity(0))}
