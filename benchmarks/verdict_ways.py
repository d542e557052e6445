"""Ways to tell from the scores of a search whether the described person is there at all.

Shapes: Q queries, G pictures, R references, D embedding, F statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

Scores = NDArray[np.float32]
TOP = 8  # pictures that may show the person, left out of what strangers score


def statistics(query_QD: Scores, gallery_GD: Scores, reference_RD: Scores) -> dict[str, Scores]:
    """Each way to tell, (Q,); high when somebody is there."""
    score_QG = query_QD @ gallery_GD.T
    top_QG = -np.sort(-score_QG, axis=1)
    best_Q, mean_Q, std_Q = top_QG[:, 0], score_QG.mean(axis=1), score_QG.std(axis=1)
    others_QG = top_QG[:, TOP:]
    tail_QG = others_QG[:, : max(5, len(gallery_GD) // 10)]
    excess_Q = (tail_QG - tail_QG[:, -1:]).mean(axis=1) + 1e-6
    reference_RG = reference_RD @ gallery_GD.T
    by_picture_QG = (score_QG - reference_RG.mean(axis=0)) / reference_RG.std(axis=0)
    return {
        "best score": best_Q,
        "mean of best 3": top_QG[:, :3].mean(axis=1),
        "best, standardised": (best_Q - mean_Q) / std_Q,
        "above own tail": (best_Q - tail_QG[:, -1]) / excess_Q,
        "gap to 9th": best_Q - top_QG[:, TOP],
        "by picture, bank": by_picture_QG.max(axis=1),
        "own mean": mean_Q,
        "own deviation": std_Q,
    }


ALONE = (
    "best score",
    "mean of best 3",
    "best, standardised",
    "above own tail",
    "gap to 9th",
    "by picture, bank",
)


def false_alarms_at_90(present_Q: Scores, absent_Q: Scores) -> float:
    """Percent of the absent that pass what 90 % of the present do."""
    return float(100 * (absent_Q >= np.quantile(present_Q, 0.1)).mean())


def area(present_Q: Scores, absent_Q: Scores) -> float:
    """How often somebody present is above somebody absent."""
    ranked = np.concatenate([absent_Q, present_Q]).argsort(kind="stable").argsort()
    num_present, num_absent = len(present_Q), len(absent_Q)
    wins = ranked[num_absent:].sum() - num_present * (num_present - 1) / 2
    return float(wins / (num_present * num_absent))


def fit_logistic(parts: Sequence[tuple[Scores, bool]]) -> Callable[[Scores], Scores]:
    """The log odds (Q,) of rows (Q, F), from rows of present and of absent people."""
    x_QF = torch.from_numpy(np.concatenate([rows for rows, _ in parts])).double()
    y_Q = torch.cat([torch.full((len(rows),), float(there)) for rows, there in parts]).double()
    mean_F, std_F = x_QF.mean(dim=0), x_QF.std(dim=0) + 1e-9
    weight_F = torch.zeros(x_QF.shape[1] + 1, dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight_F], max_iter=100)

    def odds(rows_QF: torch.Tensor) -> torch.Tensor:
        return (rows_QF - mean_F) / std_F @ weight_F[:-1] + weight_F[-1]

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds(x_QF), y_Q)
        (loss + 1e-3 * weight_F.square().sum()).backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(step)  # type: ignore[no-untyped-call]
    return lambda rows_QF: odds(torch.from_numpy(rows_QF).double()).detach().numpy()
