"""What was published, to stand beside what we measure.

All in percent, on the test splits, unless it says otherwise. Rows of Zhang, Shang and Li,
*Dual-Granularity Cross-Modal Identity Association for Weakly-Supervised Text-to-Person Image
Matching* (ACM MM 2025), are from that paper and its supplementary; those of other systems as that
field reports them, from the papers named.
"""

from collections.abc import Iterator
from dataclasses import dataclass

DATASETS = ("cuhk-pedes", "icfg-pedes", "rstpreid")
"""Whose numbers are published, under our names."""
METHOD = "Zhang et al. 2025"
NOTE = (
    f"Rows named [published] are not ours: {METHOD} is the method of the recipe "
    "`dual-granularity` (ACM MM 2025 and its supplementary); CMMT ICCV 2021, IRRA CVPR 2023, "
    "CPCL 2024, LuP-MLLM CVPR 2024."
)


@dataclass(frozen=True)
class Retrieval:
    """R@1 and, where it is given, mAP of a system trained and tested on one dataset each."""

    system: str
    trained_on: str
    tested_on: str
    r1: float
    map: float | None = None

    @property
    def label(self) -> str:
        return name_row(self.system)


@dataclass(frozen=True)
class Complexity:
    """What a system costs."""

    system: str
    parameters: float
    multiply_adds: float | None = None
    """For one image and one caption."""
    seconds: float | None = None
    """For the test set of CUHK-PEDES on one RTX 4090."""


def name_row(system: str) -> str:
    """A published row's name in a table."""
    return f"{system} [published]"


def _matrix() -> Iterator[Retrieval]:
    numbers = {
        "cuhk-pedes": ((73.06, 64.88), (42.43, 21.51), (53.45, 39.45)),
        "icfg-pedes": ((34.62, 30.99), (63.71, 36.87), (47.05, 37.79)),
        "rstpreid": ((32.26, 29.25), (31.73, 20.06), (61.30, 47.20)),
    }
    for trained_on, row in numbers.items():
        for tested_on, (r1, mean_ap) in zip(DATASETS, row, strict=True):
            yield Retrieval(METHOD, trained_on, tested_on, r1, mean_ap)


def _same_dataset() -> Iterator[Retrieval]:
    numbers: dict[str, tuple[float | None, float | None, float | None]] = {
        f"{METHOD}, B": (64.69, 54.24, 54.60),
        f"{METHOD}, B+LRC": (69.04, 58.45, 56.30),
        f"{METHOD}, B+GSRC": (67.56, 58.51, 55.90),
        f"{METHOD}, B+LRC+GSRC": (70.20, 60.30, 57.25),
        "CPCL": (70.03, 62.60, 58.35),
        "CMMT": (57.10, None, None),
        "IRRA (supervised)": (73.38, 63.46, 60.20),
        "LuP-MLLM (supervised)": (78.13, 69.37, 69.95),
    }
    for system, row in numbers.items():
        for dataset, r1 in zip(DATASETS, row, strict=True):
            if r1 is not None:
                yield Retrieval(system, dataset, dataset, r1)


CROSS = tuple(_matrix())
"""Supplementary, Table 1."""
RETRIEVAL = (*(row for row in CROSS if row.trained_on == row.tested_on), *_same_dataset())
"""Trained and tested on the same dataset; the ablation is the paper's Table 4."""

HALF_MASKED = tuple(
    Retrieval(system, dataset, dataset, r1)
    for system, row in {METHOD: (35.41, 32.41, 27.85), "IRRA": (31.79, 29.24, 25.55)}.items()
    for dataset, r1 in zip(DATASETS, row, strict=True)
)
"""Half of each test caption's words masked: supplementary, Table 2."""

RELATIONS_RIGHT = {"cuhk-pedes": 92.0, "icfg-pedes": 75.0}
"""Share of mined relations that are right in the training set: the paper's Fig. 4."""

COMPLEXITY = (
    Complexity(METHOD, 149.6e6, 20.25e9, 34.9),
    Complexity("IRRA (supervised)", 194.5e6),
)
"""Supplementary, Table 3; ViT-B/16 at 384 x 128 with captions of 77 tokens."""
