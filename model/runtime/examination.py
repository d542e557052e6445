"""Does the model run here, on what, why, and how fast? For `passerby doctor`.

Shapes: B batch, D embedding.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from model.encoder import DualEncoder
from model.errors import ModelError
from model.runtime.choice import Wish
from model.runtime.machine import Machine, look_at_machine
from model.runtime.served import Runtime, load_runtime
from model.zoo import load_encoder

QUERIES = (
    "a woman in a red coat with a grey backpack",
    "a tall man with short grey hair in a dark blue coat and white shoes who carries a red bag",
)
BATCH = 8
LEAST_COSINE = {"float16": 0.999, "bfloat16": 0.999, "int8": 0.97, "float32": 0.9999}
"""Below that, an engine computes something else; rounding alone stays far above."""
QUERY_BUDGET_S = 4.0
PICTURE_BUDGET_S = 8.0


@dataclass(frozen=True)
class Trial:
    """What a model did. cosines: the lowest with torch's in float32; times are medians."""

    model: str
    fingerprint: str
    image_size: tuple[int, int]
    dim: int
    engine: str
    reasons: tuple[str, ...]
    load_s: float
    text_cosine: float
    picture_cosine: float
    query_ms: float
    pictures_per_s: float


@dataclass(frozen=True)
class Examination:
    """trial: None where the model does not run. problems: empty where all is well."""

    machine: Machine
    trial: Trial | None
    problems: tuple[str, ...]

    def describe(self) -> list[tuple[str, str]]:
        """For people: what, and what was found."""
        of_trial = [] if self.trial is None else _describe_trial(self.trial)
        return [*_describe_machine(self.machine), *of_trial]


def examine(model: str, device: str, num_threads: int, wish: Wish) -> Examination:
    """Load the model as a service does and try it, within half a minute on any usual machine."""
    machine = look_at_machine()
    started = time.perf_counter()
    try:
        runtime = load_runtime(model, device, num_threads, wish)
        load_s = time.perf_counter() - started
        trial = _try(model, load_encoder(model, device), runtime, load_s)
    except (ModelError, ValueError) as error:
        return Examination(machine, None, (str(error),))
    except Exception as error:  # a library's own: to tell it is what this is for
        told = f"the model does not run: {type(error).__name__}: {error}"
        return Examination(machine, None, (told,))
    return Examination(machine, trial, tuple(find_problems(trial)))


def _describe_machine(machine: Machine) -> list[tuple[str, str]]:
    return [
        ("processor", machine.processor),
        ("cores", str(machine.cores)),
        ("instructions", ", ".join(machine.instructions) or "unknown"),
        ("memory", f"{machine.memory_bytes / 2**30:.1f} GiB"),
        ("GPU", ", ".join(machine.gpus) or "none"),
    ]


def _describe_trial(trial: Trial) -> list[tuple[str, str]]:
    height, width = trial.image_size
    return [
        ("model", f"{trial.model} ({trial.fingerprint}), {height} x {width} pixels to {trial.dim}"),
        ("runs on", trial.engine),
        *(("", reason) for reason in trial.reasons),
        ("loading", f"{trial.load_s:.1f} s"),
        ("a description", f"{trial.query_ms:.1f} ms"),
        ("pictures", f"{trial.pictures_per_s:.1f} a second"),
        ("cosine with float32", f"{trial.text_cosine:.5f} of descriptions"),
        ("", f"{trial.picture_cosine:.5f} of pictures"),
    ]


def _try(model: str, encoder: DualEncoder, runtime: Runtime, load_s: float) -> Trial:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (BATCH, *runtime.image_size, 3), dtype=np.uint8)
    few = pixels[:2]
    exact_BD = encoder.encode_image(torch.from_numpy(few).permute(0, 3, 1, 2)).cpu().numpy()
    text_BD = encoder.encode_text(QUERIES).cpu().numpy()
    picture_s = _measure(lambda: runtime.encode_image(pixels), PICTURE_BUDGET_S)
    return Trial(
        model=model,
        fingerprint=runtime.fingerprint,
        image_size=runtime.image_size,
        dim=runtime.dim,
        engine=runtime.engine.name,
        reasons=runtime.reasons,
        load_s=load_s,
        text_cosine=_lowest_cosine(runtime.encode_text(QUERIES), text_BD),
        picture_cosine=_lowest_cosine(runtime.encode_image(few), exact_BD),
        query_ms=1e3 * _measure(lambda: runtime.encode_text(QUERIES[1:]), QUERY_BUDGET_S),
        pictures_per_s=BATCH / picture_s,
    )


def _measure(run: Callable[[], object], budget_s: float) -> float:
    """Median seconds of at most 50 runs within the budget, after one that is not counted."""
    run()
    seconds: list[float] = []
    while len(seconds) < 50 and sum(seconds) < budget_s:
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _lowest_cosine(one_BD: NDArray[np.float32], other_BD: NDArray[np.float32]) -> float:
    return float((one_BD * other_BD).sum(axis=1).min())


def find_problems(trial: Trial) -> list[str]:
    """A sentence for each thing that is wrong with its vectors."""
    texts_by = trial.engine.replace("pictures int8", "")  # which says nothing of descriptions
    found = {
        "descriptions": (trial.text_cosine, _find_bound(texts_by)),
        "pictures": (trial.picture_cosine, _find_bound(trial.engine)),
    }
    return [
        f"vectors of {name} are not the model's: their cosine with torch's in float32 is "
        f"{cosine:.4f}, expected at least {least}; set PASSERBY_RUNTIME=torch and report this"
        for name, (cosine, least) in found.items()
        if not cosine >= least  # NaN too
    ]


def _find_bound(engine: str) -> float:
    return min(bound for kind, bound in LEAST_COSINE.items() if kind in engine)
