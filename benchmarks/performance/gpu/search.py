"""The ten nearest of a million vectors and of ten: exact by torch, exact and approximate by FAISS.

FAISS runs where the vectors are: on the GPU where the installed one has GPU code (`faiss-gpu`), and
is left out where it has none. Vectors are drawn by the shipped model's statistics.

Shapes: N vectors, Q queries, D dimensions.
"""

from __future__ import annotations

from typing import Any, Protocol

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.performance.drawn_vectors import SHIPPED, draw
from benchmarks.performance.gpu.chip import Chip
from benchmarks.performance.row import Row, Size, at_least

K = 10
_QUERIES = 256
_CHUNK = 2_000_000
_MOST_LOOKED_INTO = 2048  # FAISS's limit on a GPU
_LEAST_RECALL = 0.99


class Index(Protocol):
    """Whatever finds the nearest."""

    def search(self, queries_QD: NDArray[np.float32], k: int) -> tuple[Any, Any]:
        """Scores and positions, (Q, k)."""
        ...


class TorchScan:
    """Exact: one product with float16 vectors where they are, and the top k of each chunk."""

    def __init__(self, vectors_ND: Tensor) -> None:
        """vectors_ND: float16."""
        self._chunks = torch.split(vectors_ND, _CHUNK)

    @torch.inference_mode()
    def search(
        self, queries_QD: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """See Index."""
        queries = torch.from_numpy(queries_QD).to(self._chunks[0].device, torch.float16)
        scores, positions = [], []
        for number, chunk_ND in enumerate(self._chunks):
            best = (queries @ chunk_ND.T).topk(k, dim=1)
            scores.append(best.values)
            positions.append(best.indices + number * _CHUNK)
        best = torch.cat(scores, dim=1).topk(k, dim=1)
        found = torch.cat(positions, dim=1).gather(1, best.indices)
        return best.values.cpu().numpy(), found.cpu().numpy()


def measure(chip: Chip, size: Size) -> list[Row]:
    """At a million and at ten."""
    rows = []
    dim = 512 if size == "full" else 128
    for num in (1_000_000, 10_000_000) if size == "full" else (2_000,):
        drawn = draw(SHIPPED, num, _QUERIES, dim)
        vectors_ND = torch.from_numpy(drawn.pictures_ND).to(chip.device)
        rows += _measure_at(chip, vectors_ND, drawn.texts_QD)
        del vectors_ND
        if chip.has_gpu:
            torch.cuda.empty_cache()
    return rows


def _measure_at(chip: Chip, vectors_ND: Tensor, queries_QD: NDArray[np.float32]) -> list[Row]:
    label = f"{len(vectors_ND):,} vectors"
    scan = TorchScan(vectors_ND)
    one_s, many_s = _time(chip, scan, queries_QD)
    if chip.has_gpu and not hasattr(faiss, "StandardGpuResources"):
        print("gpu: FAISS has no GPU code here (pip install faiss-gpu), only torch is measured")
        return [
            Row(f"exact by torch, {label}, one query", 1e3 * one_s, "ms"),
            Row(f"exact by torch, {label}, {len(queries_QD)} queries", 1e3 * many_s, "ms"),
        ]
    flat = build_flat(chip, vectors_ND)
    flat_one_s, flat_many_s = _time(chip, flat, queries_QD)
    agreement = measure_recall(flat, scan, queries_QD)
    del flat
    rows = [
        Row(
            f"exact by torch, {label}, {count} quer{'y' if count == 1 else 'ies'}, against FAISS",
            1e3 * ours_s,
            "ms",
            1e3 * theirs_s,
            theirs_s / ours_s,
        )
        for count, ours_s, theirs_s in (
            (1, one_s, flat_one_s),
            (len(queries_QD), many_s, flat_many_s),
        )
    ]
    rows.append(at_least(0.99, f"the two's common share of the ten, {label}", agreement, ""))
    return rows + _measure_lists(chip, vectors_ND, queries_QD, scan, one_s, label)


def _measure_lists(
    chip: Chip,
    vectors_ND: Tensor,
    queries_QD: NDArray[np.float32],
    scan: TorchScan,
    exact_s: float,
    label: str,
) -> list[Row]:
    """IVF at the fewest lists looked into that find enough."""
    index = build_lists(chip, vectors_ND)
    most = min(index.nlist, _MOST_LOOKED_INTO)
    for num_looked_into in (2**power for power in range(most.bit_length())):
        index.nprobe = num_looked_into
        recall = measure_recall(index, scan, queries_QD)
        if recall >= _LEAST_RECALL:
            break
    one_s, _ = _time(chip, index, queries_QD)
    name = f"FAISS IVF of {index.nlist} float16 lists, {index.nprobe} looked into, {label}"
    return [
        Row(f"{name}, against exact by torch", 1e3 * one_s, "ms", 1e3 * exact_s, exact_s / one_s),
        at_least(_LEAST_RECALL, f"its recall@{K}, {label}", recall, ""),
    ]


def _time(chip: Chip, index: Index, queries_QD: NDArray[np.float32]) -> tuple[float, float]:
    """Seconds of one query, and of all at once; arrays in, arrays out."""
    one_s = chip.median_s(lambda: index.search(queries_QD[:1], K), rounds=30)
    return one_s, chip.median_s(lambda: index.search(queries_QD, K), rounds=5)


def measure_recall(index: Index, exact: Index, queries_QD: NDArray[np.float32]) -> float:
    """The share of the exact ten that it finds."""
    pairs = zip(index.search(queries_QD, K)[1], exact.search(queries_QD, K)[1], strict=True)
    return float(np.mean([len(np.intersect1d(found, right)) / K for found, right in pairs]))


def build_flat(chip: Chip, vectors_ND: Tensor) -> Any:
    """FAISS's exact index of float16 vectors."""
    dim = vectors_ND.shape[1]
    index: Any
    if chip.has_gpu:
        config = faiss.GpuIndexFlatConfig()
        config.useFloat16 = True
        index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), dim, config)
    else:
        index = faiss.IndexScalarQuantizer(
            dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
    _add(index, vectors_ND)
    return index


def build_lists(chip: Chip, vectors_ND: Tensor) -> Any:
    """FAISS's inverted lists of float16 vectors, as many as four times the root of their number."""
    num, dim = vectors_ND.shape
    num_lists = 2 ** round(np.log2(4 * num**0.5))
    kind, metric = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    index: Any
    if chip.has_gpu:
        resources = faiss.StandardGpuResources()
        index = faiss.GpuIndexIVFScalarQuantizer(  # type: ignore[attr-defined]
            resources, dim, num_lists, kind, metric, False
        )
    else:
        quantizer = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFScalarQuantizer(quantizer, dim, num_lists, kind, metric, False)
    picked = torch.randperm(num, generator=torch.Generator().manual_seed(0))[: 64 * num_lists]
    index.train(vectors_ND[picked.to(vectors_ND.device)].float().cpu().numpy())
    _add(index, vectors_ND)
    return index


def _add(index: Any, vectors_ND: Tensor) -> None:
    for chunk_ND in torch.split(vectors_ND, _CHUNK // 4):
        index.add(chunk_ND.float().cpu().numpy())
