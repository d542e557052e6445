"""How well a detector finds the people of drawn frames: average precision, precision and recall.

Shapes: N boxes found, P people that are there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""left, top, right, bottom: (N, 4)"""


@dataclass(frozen=True)
class DetectionFigures:
    """average_precision: area under the precision envelope over recall, every point of it.
    precision, recall: of boxes with at least the least score."""

    average_precision: float
    precision: float
    recall: float
    num_people: int


def measure_detections(
    found: Sequence[tuple[Boxes, NDArray[np.float32]]],
    truth: Sequence[Boxes],
    min_score: float = 0.5,
    min_iou: float = 0.5,
) -> DetectionFigures:
    """found: for each picture, boxes and scores; truth: who is there.

    A box is right if it has an IoU of `min_iou` with somebody whom no better-scored box has.
    """
    scores, rights = [], []
    for (boxes_N4, scores_N), people_P4 in zip(found, truth, strict=True):
        order_N = np.argsort(-scores_N, kind="stable")
        scores.append(scores_N[order_N])
        rights.append(match(boxes_N4[order_N], people_P4, min_iou))
    score_N, right_N = np.concatenate(scores), np.concatenate(rights)
    num_people = sum(len(people) for people in truth)
    order_N = np.argsort(-score_N, kind="stable")
    right_N, kept_N = right_N[order_N], score_N >= min_score
    num_right_N = np.cumsum(right_N)
    precision_N = num_right_N / np.arange(1, len(right_N) + 1)
    envelope_N = np.maximum.accumulate(precision_N[::-1])[::-1]
    num_kept = int(kept_N.sum())
    kept_right = int(num_right_N[num_kept - 1]) if num_kept else 0
    return DetectionFigures(
        average_precision=float(envelope_N[right_N].sum() / num_people),
        precision=kept_right / max(1, num_kept),
        recall=kept_right / num_people,
        num_people=num_people,
    )


def match(boxes_N4: Boxes, people_P4: Boxes, min_iou: float) -> NDArray[np.bool_]:
    """Which boxes, best first, are right: each takes the person it fits best of those left."""
    right_N = np.zeros(len(boxes_N4), bool)
    if len(people_P4) == 0:
        return right_N
    iou_NP = overlaps(boxes_N4, people_P4)
    for place, iou_P in enumerate(iou_NP):
        person = int(iou_P.argmax())
        if iou_P[person] >= min_iou:
            right_N[place] = True
            iou_NP[:, person] = 0  # taken
    return right_N


def overlaps(boxes_N4: Boxes, people_P4: Boxes) -> NDArray[np.float32]:
    """Intersection over union of each with each: (N, P)."""
    start_NP2 = np.maximum(boxes_N4[:, None, :2], people_P4[None, :, :2])
    end_NP2 = np.minimum(boxes_N4[:, None, 2:], people_P4[None, :, 2:])
    common_NP = (end_NP2 - start_NP2).clip(min=0).prod(axis=2)
    area_N, area_P = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (boxes_N4, people_P4))
    return np.asarray(common_NP / (area_N[:, None] + area_P[None, :] - common_NP), np.float32)
