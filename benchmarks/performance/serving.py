"""POST /search over a million pictures: what it takes beyond encoding, and many clients at once.

The program runs as a process of its own; its clients share the machine's two cores with it. The
first full run fills data/benchmarks, which takes minutes; later ones find it there. One more server
answers each search with the same constant: what it takes is HTTP's, the gate's and the answer's.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.performance.filled_service import fill, save_random
from benchmarks.performance.published import VIT_B16
from benchmarks.performance.row import Row, Size, at_least, at_most
from benchmarks.performance.service import Asked, make_texts, serving
from model.card import find_checkpoint

CLIENTS = 32
_FOLDER = Path(__file__).parents[2] / "data" / "benchmarks"


def measure(size: Size) -> list[Row]:
    """Of the shipped model, and of ViT-B/16 with random weights."""
    small = _find_small()
    if size == "tiny":
        with tempfile.TemporaryDirectory() as folder:
            return measure_model("small", small, Path(folder), 200, rounds=1, num_texts=8)
    vit = save_random(VIT_B16, _FOLDER / "vit-b-16")
    return [
        *measure_model("ViT-B/16", vit, _FOLDER, 1_000_000, rounds=5, num_texts=32),
        *measure_model("small", small, _FOLDER, 100_000, rounds=5, num_texts=64),
    ]


def measure_model(
    name: str, checkpoint: Path, folder: Path, num_pictures: int, rounds: int, num_texts: int
) -> list[Row]:
    """One client asks num_texts a round, many ask four times as many; none is asked twice."""
    filled = fill(folder, checkpoint, num_pictures)
    small = _find_small()  # a constant is the same of any model
    bare = fill(folder, small, 100)
    with serving(bare, small, constant=True) as constant, serving(filled, checkpoint) as real:
        if num_pictures >= 100_000:
            real.wait_until_idle()
        texts = iter(make_texts((rounds + 1) * 6 * num_texts, seed=0))
        found: list[tuple[Asked, Asked, Asked]] = []
        for _ in range(rounds + 1):
            one, many = ([next(texts) for _ in range(times * num_texts)] for times in (1, 4))
            found.append((constant.ask(one, 1), real.ask(one, 1), real.ask(many, CLIENTS)))
    return _rows(f"{name}, {num_pictures:,} pictures", found[1:])


def _find_small() -> Path:
    found = find_checkpoint("small")
    assert found is not None
    return found


def _rows(about: str, found: Sequence[tuple[Asked, Asked, Asked]]) -> list[Row]:
    """Medians over the rounds."""
    median = statistics.median
    bare_ms = median(bare.quantile_ms(0.5) for bare, _, _ in found)
    beyond_ms = median(one.beyond_ms - bare.quantile_ms(0.5) for bare, one, _ in found)
    one_per_s = median(one.per_s for _, one, _ in found)
    many_per_s = median(many.per_s for _, _, many in found)
    gain = median(many.per_s / one.per_s for _, one, many in found)
    p50_ms, p99_ms = (median(many.quantile_ms(q) for _, _, many in found) for q in (0.5, 0.99))
    tail = median(many.quantile_ms(0.99) / many.quantile_ms(0.5) for _, _, many in found)
    one_cpu_ms, many_cpu_ms, bare_cpu_ms = (
        median(each[at].cpu_ms for each in found) for at in (1, 2, 0)
    )
    clients = f"{CLIENTS} clients"
    return [
        Row(f"POST /search with a constant, {about}: p50", bare_ms, "ms"),
        at_most(5, f"POST /search, {about}: p50 beyond that and encoding", beyond_ms, "ms"),
        at_least(
            4, f"{clients}, {about}: searches", many_per_s, "/s", against=one_per_s, ratio=gain
        ),
        at_most(5, f"{clients}, {about}: p99 beside p50", p99_ms, "ms", against=p50_ms, ratio=tail),
        Row(f"server's CPU for a constant, {about}", bare_cpu_ms, "ms"),
        Row(f"server's CPU for a search, {about}", one_cpu_ms, "ms"),
        Row(f"server's CPU for a search of {clients}, {about}", many_cpu_ms, "ms"),
    ]
