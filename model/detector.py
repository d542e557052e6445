"""Person detectors by name: the small one that ships, and torchvision's."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import nn
from torchvision.models import detection, get_model, get_model_weights, list_models

from model.detector_small import PERSON, SHIPPED, build_small
from model.errors import CheckpointError, WeightsUnavailableError
from model.foreign.weight_file import read_weight_file
from model.zoo import resolve_device

SMALL = "small"
_ALTERED = 5  # keys named of those that don't fit


class TorchDetector:
    """One of torchvision's detectors behind plain arrays."""

    def __init__(self, network: nn.Module, person: int, max_side_px: int, fingerprint: str) -> None:
        """network: as torchvision's, in evaluation mode. person: its label. max_side_px: what it
        scales the longer side of a frame to."""
        self.fingerprint = fingerprint
        self.max_side_px = max_side_px
        self._network = network
        self._person = person

    @torch.inference_mode()
    def detect(
        self, pictures: Sequence[NDArray[np.uint8]]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """For each uint8 RGB picture (H, W, 3) the people in it: boxes (N, 4) as left, top, right,
        bottom in its pixels, and scores (N,), best first."""
        device = next(self._network.parameters()).device
        tensors = [
            torch.tensor(picture, device=device).permute(2, 0, 1) / 255 for picture in pictures
        ]
        found = []
        for result in self._network(tensors):
            is_person_N = result["labels"] == self._person
            boxes_N4, scores_N = result["boxes"][is_person_N], result["scores"][is_person_N]
            found.append((boxes_N4.cpu().numpy(), scores_N.cpu().numpy()))
        return found


def load_detector(name: str, device: str = "auto") -> TorchDetector:
    """A detector ready to detect, from

    - `small`: what ships with this package;
    - `fasterrcnn_resnet50_fpn_v2` and the like: torchvision's, with the weights in its cache;
    - either of these and `:PATH`: with the weights of a local file.

    Nothing is ever fetched. Raises CheckpointError (WeightsUnavailableError where there are no
    weights) with what to do.
    """
    kind, _, given = name.partition(":")
    if kind == SMALL:
        network, path, person = build_small(), SHIPPED, PERSON
    elif kind in list_models(module=detection):
        weights = get_model_weights(kind).DEFAULT
        network = get_model(kind, weights=None, weights_backbone=None)
        path = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        person = weights.meta["categories"].index("person")
        if not given and not path.is_file():
            raise WeightsUnavailableError(
                f"detector {kind}: its weights are not in the cache, expected {path}. Fetch "
                f"{weights.url} on a machine that can, and copy the file there, or set the "
                f"detector to {kind}:PATH"
            )
    else:
        known = ", ".join((SMALL, *list_models(module=detection)))
        raise CheckpointError(
            f"detector {name!r}: expected one of {known}, each with :PATH or without, or "
            "python:MODULE:FUNCTION"
        )
    path = Path(given) if given else path
    _fill(network, path, kind)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    max_side_px = network.transform.max_size
    network = network.to(resolve_device(device)).eval()
    return TorchDetector(network, person, max_side_px, f"{kind}-{digest}")


def _fill(network: nn.Module, path: Path, kind: str) -> None:
    """Load weights; every key must be accounted for, with the right shape."""
    state = read_weight_file(path)
    expected = network.state_dict()
    wrong = [f"{name} is missing" for name in expected if name not in state]
    wrong += [f"{name} is unknown" for name in state if name not in expected]
    for name in expected.keys() & state.keys():
        shape, wanted = getattr(state[name], "shape", None), expected[name].shape
        if shape != wanted:
            got = "no tensor" if shape is None else f"shape {tuple(shape)}"
            wrong.append(f"{name} has {got}, expected {tuple(wanted)}")
    if wrong:
        more = f" (and {len(wrong) - _ALTERED} more)" if len(wrong) > _ALTERED else ""
        raise CheckpointError(
            f"{path}: not the weights of {kind} as torchvision {torchvision.__version__} has it: "
            + "; ".join(sorted(wrong)[:_ALTERED])
            + more
        )
    network.load_state_dict(state)
