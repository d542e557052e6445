"""Encoders for other runtimes: each file is run and compared with its source before it is kept.

An export is a folder of one file a tower and `export.json`, which says what goes in and comes
out. Pixels go in as they are decoded, uint8: mean and deviation are inside, where nobody can get
them wrong. Features come out at unit length, so that a cosine is a dot product.

Shapes: B batch, L tokens, D embedding, W width of the text tower.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from model.checkpoint import make_fresh, replace_folder
from model.config import to_plain
from model.encoder import DualEncoder
from model.errors import CheckpointError, ModelError
from model.tokens import END_TOKEN, START_TOKEN

Format = Literal["onnx", "openvino", "torch"]
FORMATS: tuple[Format, ...] = get_args(Format)
CARD = "export.json"
TOLERANCE = 1e-4
"""Largest difference of any number of a unit feature; float32 in another order makes 1e-6."""

Run = Callable[[NDArray[np.generic]], NDArray[np.float32]]


@dataclass(frozen=True)
class Agreement:
    """How close a written file comes to its source, over all inputs that were tried."""

    tower: str
    """image or text."""
    largest_difference: float
    """Of any number of a feature."""
    smallest_cosine: float
    """Of any feature with its source's."""


class ImageTower(nn.Module):
    """Pictures as they are decoded to unit features."""

    def __init__(self, encoder: DualEncoder) -> None:
        super().__init__()
        self.visual = encoder.clip.visual
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", encoder.image_mean * 255)
        self.register_buffer("scale", 1 / (encoder.image_std * 255))

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: uint8 RGB (B, 3, H, W) -> unit float32 (B, D)."""
        return F.normalize(self.visual((pixels.float() - self.mean) * self.scale), dim=-1)


class TextTower(nn.Module):
    """Tokens to unit features. The encoder's own forward cuts its tables to L tokens, which a
    traced program can't do for every L up to the whole; here they are read by position."""

    def __init__(self, encoder: DualEncoder) -> None:
        super().__init__()
        clip = encoder.clip
        self.token_embedding = clip.token_embedding
        self.positional_embedding = clip.positional_embedding
        self.transformer = clip.transformer
        self.ln_final = clip.ln_final
        self.text_projection = clip.text_projection

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: int64 (B, L), L up to the context length, 0 after the end -> unit (B, D)."""
        position_L = torch.arange(tokens.shape[1], device=tokens.device)
        mask_LL = torch.where(position_L[:, None] >= position_L, 0.0, -torch.inf)
        hidden_BLW = self.token_embedding(tokens) + self.positional_embedding[position_L]
        hidden_BLW = self.ln_final(self.transformer(hidden_BLW, attn_mask=mask_LL))
        end_B1W = tokens.argmax(dim=1)[:, None, None].expand(-1, 1, hidden_BLW.shape[2])
        end_BW = hidden_BLW.gather(1, end_B1W)[:, 0]
        return F.normalize(end_BW @ self.text_projection, dim=-1)


def export_encoder(
    encoder: DualEncoder, out: Path, kind: Format, *, tolerance: float = TOLERANCE
) -> tuple[Agreement, Agreement]:
    """Write both towers of an encoder on the CPU to the folder `out`, whole or not at all.

    Any batch, any number of tokens. Raises CheckpointError where a file differs from the source
    by more than `tolerance`, or `out` is there and no export; ModelError where a package is
    missing. Then `out` is as it was.
    """
    if out.exists() and not (out / CARD).exists():
        raise CheckpointError(f"{out}: is there already and is no export; name another folder")
    fresh = make_fresh(out)
    try:
        agreements = (
            _export_tower("image", encoder, fresh, kind, tolerance),
            _export_tower("text", encoder, fresh, kind, tolerance),
        )
        card = _describe(encoder, kind, agreements)
        (fresh / CARD).write_text(json.dumps(card, indent=2) + "\n")
    except ImportError as error:
        shutil.rmtree(fresh)
        raise ModelError(
            f"the format {kind} needs what `pip install passerby[export]` installs: {error}"
        ) from error
    except BaseException:
        shutil.rmtree(fresh)
        raise
    replace_folder(fresh, out)
    return agreements


def _export_tower(
    name: str, encoder: DualEncoder, folder: Path, kind: Format, tolerance: float
) -> Agreement:
    tower = (ImageTower if name == "image" else TextTower)(encoder).eval()
    samples, source = _samples(name, encoder)
    run = WRITERS[kind](_trace(tower, samples[-1]), folder / f"{name}{SUFFIXES[kind]}", name)
    differences, cosines = [], []
    for sample in samples:
        expected_BD = source(sample).double()
        got_BD = torch.from_numpy(run(sample.numpy())).double()
        if got_BD.shape != expected_BD.shape:
            shapes = f"expected {tuple(expected_BD.shape)}, got {tuple(got_BD.shape)}"
            raise CheckpointError(f"{kind} {name} tower: {shapes}; nothing was written")
        differences.append(float((got_BD - expected_BD).abs().max()))
        cosines.append(float(F.cosine_similarity(got_BD, expected_BD, dim=1).min()))
    beyond = [difference for difference in differences if not difference <= tolerance]
    if beyond:  # NaN is beyond too
        raise CheckpointError(
            f"{kind} {name} tower: differs from its source by {max(beyond):.2g}, "
            f"expected at most {tolerance:.2g}; nothing was written"
        )
    return Agreement(name, max(differences), min(cosines))


def _samples(name: str, encoder: DualEncoder) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """Inputs of different batches and lengths, and what they are compared with."""
    generator = torch.Generator().manual_seed(0)
    if name == "image":
        sizes = [(batch, 3, *encoder.image_size) for batch in (1, 3, 2)]
        pixels = [torch.randint(256, size, generator=generator).to(torch.uint8) for size in sizes]
        return pixels, encoder.encode_image
    longest = encoder.architecture.context_length
    texts = []
    for batch, length in ((1, longest), (1, 2), (3, longest // 2 + 1), (2, longest // 3 + 1)):
        tokens_BL = torch.randint(1, START_TOKEN, (batch, length), generator=generator)
        tokens_BL[:, 0], tokens_BL[:, -1] = START_TOKEN, END_TOKEN
        if batch > 1 and length > 3:  # a shorter text beside longer ones
            tokens_BL[0, length // 2], tokens_BL[0, length // 2 + 1 :] = END_TOKEN, 0
        texts.append(tokens_BL)
    return texts, encoder.encode_text


def _trace(tower: ImageTower | TextTower, sample: Tensor) -> ExportedProgram:
    dims = {0: Dim("batch", min=1)}
    shapes = {"pixels": dims}
    if isinstance(tower, TextTower):
        longest = len(tower.positional_embedding)
        shapes = {"tokens": {**dims, 1: Dim("length", min=2, max=longest)}}
    with _plain_attention(), torch.no_grad():
        return torch.export.export(tower, (sample,), dynamic_shapes=shapes, strict=False)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """No fused attention: no format knows that one operation."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _write_torch(program: ExportedProgram, path: Path, _tower: str) -> Run:
    torch.export.save(program, path)
    module = torch.export.load(path).module()

    @torch.inference_mode()
    def run(values: NDArray[np.generic]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = module(torch.from_numpy(values)).numpy()
        return features

    return run


def _write_onnx(program: ExportedProgram, path: Path, tower: str) -> Run:
    import onnxruntime

    _convert_to_onnx(program, path, tower)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(values: NDArray[np.generic]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = session.run(None, {name: values})[0]
        return features

    return run


@cache
def open_core() -> Any:
    """OpenVINO, opened once and never closed.

    Each core gives the thread a stack to handle signals on, and takes back the one before it when
    it goes: where that went first, the next signal (Ctrl-C, a child that ends) ends the process.
    """
    import openvino

    return openvino.Core()


def _write_openvino(program: ExportedProgram, path: Path, tower: str) -> Run:
    import openvino

    # through ONNX, which keeps names and fixed sizes; and not by openvino's converter, which
    # reports its use
    through = path.with_suffix(".onnx")
    _convert_to_onnx(program, through, tower)
    core = open_core()
    openvino.save_model(core.read_model(through), path, compress_to_fp16=False)
    through.unlink()
    compiled = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(values: NDArray[np.generic]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = compiled([values])[0]
        return features

    return run


def _convert_to_onnx(program: ExportedProgram, path: Path, tower: str) -> None:
    (name,) = INPUTS[tower]
    torch.onnx.export(
        program,
        f=path,
        input_names=[name],
        output_names=["features"],
        dynamic_shapes=INPUTS[tower],
        dynamo=True,
        external_data=False,
        verbose=False,
    )


SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
WRITERS = {"onnx": _write_onnx, "openvino": _write_openvino, "torch": _write_torch}
INPUTS: dict[str, dict[str, dict[int, str]]] = {
    "image": {"pixels": {0: "batch"}},
    "text": {"tokens": {0: "batch", 1: "length"}},
}


def _describe(
    encoder: DualEncoder, kind: Format, agreements: tuple[Agreement, ...]
) -> dict[str, object]:
    """What a program needs to know to use the files."""
    height, width = encoder.image_size
    longest = encoder.architecture.context_length
    output = {"name": "features", "type": "float32", "shape": ["batch", encoder.dim]}
    return {
        "format": kind,
        "fingerprint": encoder.fingerprint,
        "image": {
            "file": f"image{SUFFIXES[kind]}",
            "input": {"name": "pixels", "type": "uint8", "shape": ["batch", 3, height, width]},
            "prepare": f"RGB 0..255, upright, squashed (not cropped) to {width} x {height} pixels "
            "by bicubic resampling; mean and deviation are subtracted inside",
            "output": output,
        },
        "text": {
            "file": f"text{SUFFIXES[kind]}",
            "input": {"name": "tokens", "type": "int64", "shape": ["batch", "length"]},
            "prepare": f"CLIP's byte-pair tokens: {START_TOKEN}, the text's, {END_TOKEN}, then 0 "
            f"up to the length of the longest text, 2 to {longest}; a text of more tokens keeps "
            f"its first {longest - 1} and {END_TOKEN}",
            "output": output,
        },
        "compare": "features have unit length: the score of a text and a picture is their dot "
        "product",
        "agreement": [asdict(agreement) for agreement in agreements],
        "architecture": to_plain(encoder.architecture),
    }
