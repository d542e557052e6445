"""What the long proofs are told by the environment, and how they tell what they found."""

from __future__ import annotations

import os
from collections.abc import Mapping

SEED = int(os.environ.get("SOAK_SEED", "0"))
MODEL = os.environ.get("SOAK_MODEL", "small")  # as PASSERBY_MODEL; colours: a small true encoder
READY_S = float(os.environ.get("SOAK_READY_S", "30"))  # more where the machine has other work
PICTURES = int(os.environ.get("SOAK_PICTURES", "20000"))


def minutes(default: float) -> float:
    """How long, SOAK_MINUTES or else `default`, in seconds."""
    return 60 * float(os.environ.get("SOAK_MINUTES", default))


def show(title: str, figures: Mapping[str, object]) -> None:
    """Print a small table: it is what a soak is run for, with pytest's -s."""
    width = max(map(len, figures))
    lines = [f"  {name:<{width}}  {value}" for name, value in figures.items()]
    print(f"\n{title}", *lines, sep="\n", flush=True)


def quantile(values: list[float], share: float) -> float:
    """Of at least one value, the one that this share of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
