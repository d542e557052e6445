"""How large a picture tower's inputs become, layer by layer, seen on drawn people.

Shapes: B batch, I inputs of a layer.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from model.attention import make_twin
from model.data.synthetic import draw_people
from model.encoder import DualEncoder
from model.runtime.layers import layers_of
from model.runtime.quantise import Ranges

log = logging.getLogger("passerby.model")

NUM_PICTURES = 32
FIRST_IDENTITY = 31_000_000
"""Drawn people who are in no split, so in nobody's gallery."""
BATCH = 4


def load_ranges(encoder: DualEncoder, folder: Path | None) -> Ranges:
    """Those that were measured for this model before, in `folder`; else measured, and kept there.

    A file that can't be read, or is of other layers, is measured anew; where it can't be written,
    next time too.
    """
    path = None if folder is None else folder / f"{encoder.fingerprint}-ranges.safetensors"
    kept = None if path is None else _read(path)
    if kept is not None and _fits(kept, encoder):
        return kept
    ranges = measure_ranges(encoder, draw_pictures(encoder.image_size))
    if path is not None:
        _keep(path, ranges)
    return ranges


def draw_pictures(image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Drawn people, (NUM_PICTURES, height, width, 3), a third darkened and a third pale."""
    people = draw_people(
        NUM_PICTURES, seed=0, first_identity=FIRST_IDENTITY, num_pictures=1, size=image_size
    )
    pixels = np.stack([np.asarray(person.image) for person in people]).astype(np.float32)
    pixels[1::3] *= 0.4
    pixels[2::3] = 255 - 0.4 * (255 - pixels[2::3])
    return pixels.astype(np.uint8)


@torch.no_grad()
def measure_ranges(encoder: DualEncoder, pixels_BHW3: NDArray[np.uint8]) -> Ranges:
    """The largest input of each channel of each layer, without its sign, over these pictures."""
    found: dict[str, Tensor] = {}
    for start in range(0, len(pixels_BHW3), BATCH):
        twin = make_twin(encoder)  # a new one each time: it keeps its attention
        with _watched(twin, found):
            part = torch.from_numpy(np.ascontiguousarray(pixels_BHW3[start : start + BATCH]))
            twin.image_features(part.permute(0, 3, 1, 2).to(encoder.device))
    return {name: values_I.cpu().numpy() for name, values_I in found.items()}


@contextmanager
def _watched(twin: DualEncoder, found: dict[str, Tensor]) -> Iterator[None]:
    """While this lasts, `found` grows with what the twin's layers are given."""
    handles = []
    for number, block in enumerate(twin.clip.visual.transformer.blocks):
        name = f"image.{number}"
        given: list[tuple[str, nn.Module]] = [
            (f"{name}.attn.out", block.attn.out_proj),
            (f"{name}.mlp.in", block.mlp.c_fc),
            (f"{name}.mlp.out", block.mlp.c_proj),
        ]
        for layer, module in given:
            handles.append(module.register_forward_pre_hook(_note_input(found, layer)))
        handles.append(block.ln_1.register_forward_hook(_note_output(found, f"{name}.attn.in")))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _note_input(
    found: dict[str, Tensor], name: str
) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    return lambda _module, inputs: _note(found, name, inputs[0])


def _note_output(
    found: dict[str, Tensor], name: str
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    return lambda _module, _inputs, output: _note(found, name, output)


def _note(found: dict[str, Tensor], name: str, rows: Tensor) -> None:
    largest_I = rows.detach().abs().flatten(0, -2).amax(dim=0).float()
    found[name] = torch.maximum(found[name], largest_I) if name in found else largest_I


def _read(path: Path) -> Ranges | None:
    try:
        return load_file(path)
    except (SafetensorError, OSError):
        return None


def _fits(ranges: Ranges, encoder: DualEncoder) -> bool:
    """Whether these are numbers for each of the picture tower's layers."""
    sizes = {
        name: (weight.shape[1],)
        for number, block in enumerate(encoder.clip.visual.transformer.resblocks)
        for name, weight, _ in layers_of(block, f"image.{number}")
    }
    return sizes == {name: values_I.shape for name, values_I in ranges.items()} and all(
        values_I.dtype == np.float32 and np.isfinite(values_I).all() for values_I in ranges.values()
    )


def _keep(path: Path, ranges: Ranges) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(ranges), partial)
        partial.replace(path)
    except (SafetensorError, OSError) as error:  # the first where the disk is full
        log.warning("what int8 measured of the model can't be kept in %s: %s", path.parent, error)
        with suppress(OSError):
            partial.unlink(missing_ok=True)
