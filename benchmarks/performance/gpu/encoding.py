"""Pictures and texts a second, against open_clip as one would call it, and the chip's own limit.

Shapes: B batch, H, W height and width in pixels, L tokens, D embedding.
"""

from __future__ import annotations

import copy
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from benchmarks.performance.gpu.chip import Chip
from benchmarks.performance.row import Row, Size, at_least
from model.encoder import DualEncoder
from model.runtime import Runtime
from model.runtime.add_norm import choose_add_norm
from model.runtime.cuda import Replays
from model.runtime.plain_towers import PlainImageTower
from model.tokens import tokenize

QUERY = (
    "a woman in a long red coat with a grey backpack and white shoes carries a black umbrella in "
    "her left hand and a paper bag"
)
"""28 tokens."""
CROP = (512, 192)
"""Height and width of pictures that have to be resized first."""
PADDED = 77


def measure(chip: Chip, size: Size) -> list[Row]:
    """Pictures first, then texts."""
    encoder, batch = chip.build_encoder(), 256 if size == "full" else 2
    runtime = Runtime(encoder)
    peak = chip.measure_peak()
    return [
        Row("bfloat16 matrix product, 8192 x 8192", peak / 1e12, "TFLOP/s"),
        *_measure_pictures(chip, encoder, batch, peak),
        *_measure_arrays(chip, runtime, 4 * batch),
        *_measure_texts(chip, encoder, runtime, batch),
        _measure_beside(chip, runtime, 4 * batch),
    ]


@torch.inference_mode()
def _measure_pictures(chip: Chip, encoder: DualEncoder, batch: int, peak: float) -> list[Row]:
    pixels_BHW3 = draw_pixels(batch, encoder.image_size).to(chip.device)
    pixels_B3HW = pixels_BHW3.permute(0, 3, 1, 2)
    crops_BHW3 = draw_pixels(batch, CROP).to(chip.device)
    half = copy.deepcopy(encoder).to(torch.bfloat16)
    add_norm = choose_add_norm(chip.device, torch.bfloat16)
    tower = PlainImageTower(encoder, torch.bfloat16, add_norm)
    run = make_runner(chip, tower)

    def resize_too() -> None:
        smaller = resize(crops_BHW3.permute(0, 3, 1, 2), list(encoder.image_size))
        run(smaller.permute(0, 2, 3, 1).contiguous())

    cosines_B = (run(pixels_BHW3) * encoder.encode_image(pixels_B3HW)).sum(dim=1)
    ways = {
        "float32": lambda: encoder.encode_image(pixels_B3HW),
        "half": lambda: half.encode_image(pixels_B3HW),
        "ours": lambda: run(pixels_BHW3),
        "resized": resize_too,
    }
    rate = {name: batch / chip.median_s(way) for name, way in ways.items()}
    flops = count_flops(encoder)
    share = 100 * rate["ours"] * flops / peak
    unit = "pictures/s"
    return [
        _compare(
            "pictures on the GPU, graphs in bfloat16, against open_clip in float32",
            rate["ours"],
            rate["float32"],
            unit,
        ),
        _compare("the same against open_clip in bfloat16", rate["ours"], rate["half"], unit),
        at_least(
            50, f"the same, of the matrix peak, at {flops / 1e9:.3g} GFLOP a picture", share, "%"
        ),
        _compare("the same, resized on the GPU first", rate["resized"], rate["ours"], unit),
        at_least(0.999, "lowest cosine with float32", float(cosines_B.min()), ""),
    ]


def _measure_arrays(chip: Chip, runtime: Runtime, batch: int) -> list[Row]:
    """uint8 arrays in memory to vectors in memory: copies both ways included."""
    pixels = draw_pixels(batch, runtime.image_size).numpy()
    alone_s = chip.median_s(lambda: runtime.encode_image(pixels[:1]))
    whole_s = chip.median_s(lambda: runtime.encode_image(pixels), rounds=5)
    name = f"pictures through the runtime, {batch} at a time, against one at a time"
    return [_compare(name, batch / whole_s, 1 / alone_s, "pictures/s")]


@torch.inference_mode()
def _measure_texts(chip: Chip, encoder: DualEncoder, runtime: Runtime, batch: int) -> list[Row]:
    """Tokenizing included, both ways."""

    def encode_padded(texts: list[str]) -> Tensor:
        tokens_BL = tokenize(texts)
        padded_BL = F.pad(tokens_BL, (0, PADDED - tokens_BL.shape[1]))
        return encoder.encode_text(padded_BL).cpu()

    texts = [QUERY] * batch
    one_s = chip.median_s(lambda: runtime.encode_text([QUERY]), rounds=50)
    plain_s = chip.median_s(lambda: encode_padded([QUERY]), rounds=20)
    many_s = chip.median_s(lambda: runtime.encode_text(texts))
    plain_many_s = chip.median_s(lambda: encode_padded(texts))
    tokens_s = chip.median_s(lambda: tokenize([QUERY]), rounds=50)
    cosine = float(runtime.encode_text([QUERY])[0] @ encode_padded([QUERY])[0].numpy())
    name = "a query of 28 tokens on the GPU, against open_clip in float32, padded to 77"
    return [
        Row(name, 1e3 * one_s, "ms", 1e3 * plain_s, plain_s / one_s),
        Row("of that, tokenizing", 1e3 * tokens_s, "ms"),
        _compare(
            f"{batch} queries at once, the same", batch / many_s, batch / plain_many_s, "texts/s"
        ),
        at_least(0.999, "cosine of that query with float32", cosine, ""),
    ]


def _measure_beside(chip: Chip, runtime: Runtime, batch: int) -> Row:
    """One query while another thread has pictures encoded without a pause."""
    pixels = draw_pixels(batch, runtime.image_size).numpy()
    stop = threading.Event()

    def encode() -> None:
        while not stop.is_set():
            runtime.encode_image(pixels)

    alone_s = chip.median_s(lambda: runtime.encode_text([QUERY]), rounds=50)
    thread = threading.Thread(target=encode)
    thread.start()
    try:
        times = []
        for _ in range(50):
            started = time.perf_counter()
            runtime.encode_text([QUERY])
            times.append(time.perf_counter() - started)
    finally:
        stop.set()
        thread.join()
    beside_s = statistics.median(times)
    name = "a query while pictures are encoded, against alone"
    return Row(name, 1e3 * beside_s, "ms", 1e3 * alone_s, alone_s / beside_s)


def make_runner(chip: Chip, tower: PlainImageTower) -> Callable[[Tensor], Tensor]:
    """The tower as the runtime runs it, on pixels that are on the device."""
    if not chip.has_gpu:
        return tower
    replays = Replays(tower, chip.device)

    def run(pixels_BHW3: Tensor) -> Tensor:
        with torch.cuda.stream(replays.stream):
            return replays.run(pixels_BHW3)

    return run


def count_flops(encoder: DualEncoder) -> float:
    """Of a picture: the products that the tower computes. Of the last block that is what the class
    token needs; all of it would be 2.4 GFLOP more in ViT-B/16 at 384x128."""
    visual = encoder.clip.visual
    num_patches, width = len(visual.positional_embedding) - 1, visual.conv1.out_channels
    length, hidden = num_patches + 1, visual.transformer.resblocks[0].mlp.c_fc.out_features
    embed = num_patches * visual.conv1.weight[0].numel() * width
    row = 2 * width**2 + 2 * width * hidden + 2 * length * width  # but for keys and values
    keys_values = length * 2 * width**2
    num_whole = len(visual.transformer.resblocks) - 1
    read = row + keys_values + width * encoder.dim
    return float(2 * (embed + num_whole * (length * row + keys_values) + read))


def draw_pixels(num: int, image_size: tuple[int, int]) -> Tensor:
    """uint8 RGB (B, H, W, 3) of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (num, *image_size, 3), np.uint8)
    return torch.from_numpy(pixels)


def _compare(name: str, value: float, against: float, unit: str) -> Row:
    """A rate beside another."""
    return Row(name, value, unit, against, value / against)
