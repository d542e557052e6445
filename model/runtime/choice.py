"""Which engine runs an encoder, and why."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from model.encoder import DualEncoder
from model.runtime.base import Engine, Multiplied
from model.runtime.cuda import CudaEngine
from model.runtime.layers import is_plain
from model.runtime.machine import look_at_machine
from model.runtime.torch_cpu import TorchEngine

RuntimeName = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "float32", "bfloat16", "int8"]


@dataclass(frozen=True)
class Wish:
    """What an operator asks for; auto leaves it to the machine. Raises ValueError.

    cache_dir: where what takes long to find out about a model is kept; None keeps nothing.
    """

    runtime: RuntimeName = "auto"
    precision: Precision = "auto"
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        for name, kinds in (("runtime", RuntimeName), ("precision", Precision)):
            value, known = getattr(self, name), get_args(kinds)
            if value not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")


@dataclass(frozen=True)
class Choice:
    """An engine, and a line each for what was chosen or rejected and why."""

    engine: Engine
    reasons: tuple[str, ...]
    keeps_encoder: bool = True
    """Whether the engine computes with the encoder itself, which is to be kept then."""
    is_fallback: bool = False
    """Whether something better was meant to run and can't."""


def choose_engine(encoder: DualEncoder, wish: Wish, num_threads: int = 1) -> Choice:
    """The fastest engine for this encoder on the device that it is on, as far as it is left open.

    Raises ValueError where what is asked for can't be had here.
    """
    if encoder.device.type != "cpu":
        return _choose_device(encoder, wish)
    precision, why = _choose_precision(wish)
    trouble = None if wish.runtime == "torch" else _find_trouble(encoder)
    if wish.runtime != "torch" and trouble is None:
        try:
            return _on_openvino(encoder, wish, num_threads, (precision, why))
        except RuntimeError as error:
            trouble = f"OpenVINO fails: {' '.join(str(error).split())[:200]}"
    if wish.runtime == "openvino" and trouble:
        raise ValueError(f"runtime: openvino can't run this model: {trouble}")
    if wish.precision == "int8":
        raise ValueError(f"precision: int8 needs OpenVINO: {trouble or 'torch is asked for'}")
    chosen = "torch: as asked for" if trouble is None else f"torch, not OpenVINO: {trouble}"
    if precision == "bfloat16":
        encoder = copy.deepcopy(encoder).bfloat16()
    return Choice(
        TorchEngine(encoder),
        (chosen, why),
        keeps_encoder=precision == "float32",
        is_fallback=trouble is not None,
    )


def choose_default(encoder: DualEncoder) -> Engine:
    """The encoder as it is on a CPU, the fastest on a GPU: for who can't say what they want."""
    is_on_cpu = encoder.device.type == "cpu"
    return TorchEngine(encoder) if is_on_cpu else _choose_device(encoder, Wish()).engine


def _choose_device(encoder: DualEncoder, wish: Wish) -> Choice:
    """The engine on a GPU. It keeps the encoder there, which explains too."""
    if wish.runtime == "openvino" or wish.precision == "int8":
        raise ValueError(
            f"runtime: OpenVINO and int8 are for the CPU, the model is on {encoder.device}"
        )
    if encoder.device.type == "cuda" and wish.precision != "float32" and is_plain(encoder):
        return Choice(CudaEngine(encoder), ("CUDA graphs: the fastest on this GPU",))
    return Choice(TorchEngine(encoder), (f"torch: the model is on {encoder.device}",))


def _choose_precision(wish: Wish) -> tuple[Multiplied, str]:
    """What to multiply in, and why. In int8 only pictures' layers are; the rest is as by auto."""
    has_bfloat16 = look_at_machine().has_bfloat16
    if wish.precision == "float32":
        return "float32", "float32: as asked for"
    if has_bfloat16:
        return "bfloat16", "bfloat16: this CPU multiplies it twice as fast as float32"
    if wish.precision == "bfloat16":
        raise ValueError(
            "precision: this CPU has no instructions for bfloat16, which would make it slow"
        )
    return "float32", "float32, not bfloat16: this CPU has no instructions for that"


def _find_trouble(encoder: DualEncoder) -> str | None:
    """Why OpenVINO can't run it; None where it can."""
    from model.runtime.openvino_cpu import find_trouble

    if (trouble := find_trouble()) is not None:
        return trouble
    return None if is_plain(encoder) else "its towers are not CLIP's plain ones"


def _on_openvino(
    encoder: DualEncoder, wish: Wish, num_threads: int, chosen: tuple[Multiplied, str]
) -> Choice:
    from model.runtime.openvino_cpu import OpenvinoEngine
    from model.runtime.ranges import load_ranges

    precision, why = chosen
    reasons = ["OpenVINO: the fastest on a CPU, which knows this model's kind of towers", why]
    ranges = None
    if wish.precision == "int8":
        ranges = load_ranges(encoder, wish.cache_dir)
        reasons.append("int8 for pictures: as asked for")
    else:
        reasons.append("not int8, which changes vectors by more than rounding: ask for it")
    engine = OpenvinoEngine(encoder, precision, num_threads, ranges)
    return Choice(engine, tuple(reasons), keeps_encoder=False)
