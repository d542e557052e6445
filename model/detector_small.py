"""The small person detector that ships: FCOS on a slim MobileNet, trained on drawn frames.

Tian, Shen, Chen and He, *FCOS: Fully Convolutional One-Stage Object Detection* (ICCV 2019), as
torchvision has it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models import mobilenet_v3_small
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.fcos import FCOSHead
from torchvision.transforms.functional import pil_to_tensor

from model.data.street import draw_frame
from model.data.synthetic import CITIES

SHIPPED = Path(__file__).parent / "weights" / "detector-small.safetensors"
PERSON = 1  # its label; 0 is the background
_SIZE = (360, 640)  # what a frame is scaled to
_CHANNELS = 64
_LARGEST_STEP = 3e-3


class Target(TypedDict):
    """boxes: left, top, right, bottom, float (P, 4); labels: int (P,)."""

    boxes: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Training:
    """How long, and on what, the detector is trained."""

    num_steps: int = 500
    batch_size: int = 8
    seed: int = 7
    num_identities: int = 100_000


def build_small() -> FCOS:
    """The detector without weights."""
    # Up to stride 32, without the last convolution, which is for classes.
    features = mobilenet_v3_small(weights=None).features[:12]
    backbone = BackboneWithFPN(
        features, {"3": "0", "8": "1", "11": "2"}, [24, 48, 96], _CHANNELS
    )  # and, by default, a fourth level
    return FCOS(
        backbone,
        num_classes=2,
        min_size=_SIZE[0],
        max_size=_SIZE[1],
        anchor_generator=AnchorGenerator(((8,), (16,), (32,), (64,)), ((1.0,),) * 4),
        head=FCOSHead(_CHANNELS, 1, 2, num_convs=2),
        score_thresh=0.05,
        nms_thresh=0.5,
    )


class StreetFrames(Dataset[tuple[Tensor, Target]]):
    """Drawn frames as the detector takes them: float (3, H, W) in 0..1, and who is in them."""

    def __init__(self, numbers: Sequence[int], identities: Sequence[int], seed: int) -> None:
        self._numbers = numbers
        self._identities = identities
        self._seed = seed

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, position: int) -> tuple[Tensor, Target]:
        number = self._numbers[position]
        frame = draw_frame(
            number,
            seed=self._seed,
            identities=self._identities,
            city=CITIES[number % len(CITIES)],
            size=_SIZE,
        )
        boxes_P4 = torch.tensor([person.box for person in frame.people], dtype=torch.float32)
        boxes_P4 = boxes_P4.reshape(-1, 4)
        boxes_P4[:, 2:] += boxes_P4[:, :2]
        labels_P = torch.full((len(boxes_P4),), PERSON)
        return pil_to_tensor(frame.image) / 255, Target(boxes=boxes_P4, labels=labels_P)


def train_small(
    training: Training,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
    num_workers: int = 1,
    start: Path | None = None,
) -> FCOS:
    """Train it from random weights, or from those of a file.

    on_step: told the number of each step and its loss.
    """
    torch.manual_seed(training.seed)
    detector = build_small().train()
    if start is not None:
        detector.load_state_dict(load_file(start))
    frames = StreetFrames(
        range(training.num_steps * training.batch_size),
        range(training.num_identities),
        training.seed,
    )
    loader = DataLoader(frames, training.batch_size, num_workers=num_workers, collate_fn=_collate)
    optimiser = torch.optim.AdamW(detector.parameters(), lr=_LARGEST_STEP, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, _LARGEST_STEP, total_steps=training.num_steps, pct_start=0.1
    )
    for step, (pictures, targets) in enumerate(loader, start=1):
        loss = sum(detector(pictures, targets).values())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(detector.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        on_step(step, float(loss.detach()))
    return detector.eval()


def save_small(detector: FCOS, path: Path) -> None:
    """Write its weights, in half precision, as safetensors."""
    state = detector.state_dict().items()
    half = {name: each.half() if each.is_floating_point() else each for name, each in state}
    save_file({name: each.contiguous() for name, each in half.items()}, path)


def _collate(batch: list[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
    return [picture for picture, _ in batch], [target for _, target in batch]
