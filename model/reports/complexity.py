"""What a model costs: parameters, multiply-adds, seconds, memory (supplementary, Table 3)."""

import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model.config import Architecture
from model.encoder import DualEncoder
from model.evaluate import encode_captions, encode_pictures, rank_pictures
from model.reports import published
from model.reports.retrieval import describe, drop_dataset, is_test
from model.reports.subject import Loaded, Subject
from model.reports.table import Cell, Table

MIB = 2**20
MULTIPLY_ADDS_NOTE = (
    "Multiply-adds are those of every matrix product and convolution for one picture and one "
    "caption of full length. ViT-B/16 at 384 x 128 takes 20.17 G here, 0.4 % less than published: "
    "we project the class token and the end token alone, where IRRA's towers, which the published "
    "program builds on, project every token (all 193 of a picture: +0.075 G, 20.25 G; all 77 of a "
    "caption as well: 20.27 G)."
)


@dataclass(frozen=True)
class Complexity:
    """The cost of one model, and of one split with it."""

    subject: Subject
    num_parameters: int
    multiply_adds: int
    """For one picture and one caption of full length."""
    encode_s: float
    """Read, decode and encode all pictures, encode all captions."""
    rank_s: float
    """Rank all pictures for all captions."""
    peak_memory_bytes: int
    """On CUDA, of what torch held there; on the CPU, of the whole process so far."""
    device: str


def measure_complexity(loaded: Iterable[Loaded]) -> tuple[Complexity, ...]:
    """Each model with each split; see `Complexity`."""
    return tuple(map(_measure, loaded))


def _measure(loaded: Loaded) -> Complexity:
    encoder, pairs = loaded.encoder, loaded.pairs
    _warm_up(encoder)
    started = time.perf_counter()
    image_PD = encode_pictures(encoder, pairs.pictures)
    text_ND = encode_captions(encoder, pairs.captions)
    if encoder.device.type == "cuda":
        torch.cuda.synchronize(encoder.device)
    encoded = time.perf_counter()
    rank_pictures(text_ND, image_PD, pairs)
    return Complexity(
        loaded.subject,
        count_parameters(encoder),
        count_multiply_adds(encoder.architecture),
        encoded - started,
        time.perf_counter() - encoded,
        _peak_memory(encoder.device),
        _name_device(encoder.device),
    )


def count_parameters(encoder: DualEncoder) -> int:
    """All of the encoder's parameters, the logit scale included."""
    return sum(parameter.numel() for parameter in encoder.parameters())


def count_multiply_adds(architecture: Architecture) -> int:
    """Multiply-adds of both towers for one picture and one caption of full length.

    Counted by torch on tensors without data, as half of its floating-point operations. Attention
    is counted whole, the masked half of the text tower's included.
    """
    with torch.device("meta"):
        encoder = DualEncoder(architecture)
        pixels_B3HW = torch.zeros(1, 3, *architecture.image_size)
        tokens_BL = torch.zeros(1, architecture.context_length, dtype=torch.long)
    # Written out, attention is matrix products, which are counted. Fused kernels are not all known
    # to the counter, and without gradients torch runs a whole attention block as one of them.
    counter = FlopCounterMode(display=False)
    with counter, torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        encoder.eval()(pixels_B3HW, tokens_BL)
    return int(counter.get_total_flops()) // 2


def _warm_up(encoder: DualEncoder) -> None:
    """Let the device load its kernels, so that they are not timed."""
    encoder.encode_image(torch.zeros(1, 3, *encoder.image_size, dtype=torch.uint8))
    encoder.encode_text(["a person"])
    if encoder.device.type == "cuda":
        torch.cuda.synchronize(encoder.device)
        torch.cuda.reset_peak_memory_stats(encoder.device)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _name_device(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device.type}, {torch.get_num_threads()} threads"


@dataclass(frozen=True)
class ComplexityReport:
    """What each model costs, and what each dataset's split costs with it."""

    kind: ClassVar[str] = "complexity"
    measured: tuple[Complexity, ...]

    def table(self) -> Table:
        """A row a model and dataset; the published ones below."""
        ours: list[tuple[Cell, ...]] = [
            (
                m.subject.model,
                m.subject.dataset,
                m.num_parameters / 1e6,
                m.multiply_adds / 1e9,
                m.encode_s,
                m.rank_s,
                m.encode_s + m.rank_s,
                m.peak_memory_bytes / MIB,
                m.device,
            )
            for m in self.measured
        ]
        subjects = [m.subject for m in self.measured]
        columns = (
            "parameters, M",
            "multiply-adds, G",
            "encode, s",
            "rank, s",
            "total, s",
            "peak memory, MiB",
            "device",
        )
        return Table(
            f"Complexity, {describe(subjects)}",
            *drop_dataset(("model", "dataset", *columns), [*ours, *_published(subjects)], subjects),
            notes=(MULTIPLY_ADDS_NOTE, published.NOTE),
        )


def _published(subjects: list[Subject]) -> list[tuple[Cell, ...]]:
    """Parameters and multiply-adds hold for any dataset; seconds for the one they were taken on."""
    timed = is_test(subjects) and any(s.dataset == "cuhk-pedes" for s in subjects)
    rows: list[tuple[Cell, ...]] = []
    for system in published.COMPLEXITY:
        seconds = system.seconds if timed else None
        rows.append(
            (
                published.name_row(system.system),
                "cuhk-pedes" if seconds else None,
                system.parameters / 1e6,
                system.multiply_adds / 1e9 if system.multiply_adds else None,
                None,
                None,
                seconds,
                None,
                "RTX 4090" if seconds else None,
            )
        )
    return rows
