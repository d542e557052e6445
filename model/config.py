"""Typed settings, checked when built: what is learned, how, and from what."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import get_args

from model.losses.global_relation import Anchor
from model.losses.local_relation import Modality

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def require(condition: bool, name: str, expected: str, got: object) -> None:
    """Raises ValueError naming the setting, what was expected and what came."""
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {got!r}")


@dataclass(frozen=True)
class Architecture:
    """What the two towers are, in open_clip's own terms, and how pixels are prepared for them."""

    embed_dim: int
    """D, the dimension of the common space."""
    image_size: tuple[int, int]
    """Height and width in pixels; pictures are squashed to it."""
    vision: Mapping[str, object]
    """Fields of open_clip's CLIPVisionCfg, without image_size."""
    text: Mapping[str, object]
    """Fields of open_clip's CLIPTextCfg, without context_length."""
    context_length: int = 77
    """Most tokens a text may have, start and end token included."""
    quick_gelu: bool = True
    """The activation that OpenAI's weights were trained with."""
    image_mean: tuple[float, float, float] = CLIP_MEAN
    """Mean of each channel, in 0..1."""
    image_std: tuple[float, float, float] = CLIP_STD
    """Deviation of each channel, in 0..1."""

    def __post_init__(self) -> None:
        for name in ("image_size", "image_mean", "image_std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        require(self.embed_dim >= 1, "architecture.embed_dim", "at least 1", self.embed_dim)
        require(
            len(self.image_size) == 2 and min(self.image_size) >= 1,
            "architecture.image_size",
            "height and width in pixels",
            self.image_size,
        )
        require(
            self.context_length >= 3, "architecture.context_length", ">= 3", self.context_length
        )
        require(len(self.image_mean) == 3, "architecture.image_mean", "3 numbers", self.image_mean)
        require(
            len(self.image_std) == 3 and min(self.image_std) > 0,
            "architecture.image_std",
            "3 numbers > 0",
            self.image_std,
        )


@dataclass(frozen=True)
class ObjectiveConfig:
    """Which losses are summed, and how relations are mined (Eq. 22 and its ablations)."""

    contrastive: bool = True
    """InfoNCE over the batch (Eq. 1-2)."""
    local_relations: bool = True
    """Relations within the batch (Eq. 3-10)."""
    global_relations: bool = True
    """Relations over the whole training set, through the memory bank (Eq. 11-18)."""
    consistency: bool = True
    """The same on information-asymmetric pairs (Eq. 19-21)."""
    temperature: float = 0.02
    """Divides every cosine; the logit scale is its inverse."""
    local_from_epoch: int = 1
    """First epoch with relations within the batch. Before it, InfoNCE stands in for them on the
    asymmetric pairs: from random weights all features start out alike and relations are wrong."""
    relations_from_epoch: int = 2
    """First epoch with global relations; until then the bank is only filled."""
    image_threshold: float = 0.7
    """Cosine of two pictures above which they may show one person, within the batch."""
    text_threshold: float = 0.7
    """Cosine of two captions above which they may describe one person, within the batch."""
    soft_weight: float = 0.1
    """Target of a mined relation; a pair's own target is 1."""
    modality: Modality = "both"
    """Whose similarity makes a local relation (Table 5)."""
    top_k: int = 3
    """Neighbours drawn from the bank for each row."""
    bank_threshold: float = 0.7
    """Cosine above which a bank neighbour is kept."""
    anchor: Anchor = "image"
    """The modality by which bank neighbours are found (Table 6)."""
    bank_momentum: float = 0.9
    """Share of a new feature when the bank is updated."""
    mask_ratio: float = 0.5
    """Probability that a caption's token is masked in an asymmetric pair."""
    identity_matching: bool = False
    """Similarity distribution matching on true identities: supervised, IRRA's."""
    identity_classification: bool = False
    """Naming the identity from each modality: supervised, IRRA's."""
    masked_language: bool = False
    """Naming hidden words of the caption with the picture's help: IRRA's."""
    masked_language_ratio: float = 0.15
    """Share of words hidden for it."""
    masked_language_layers: int = 4
    """Depth of the transformer over words and picture."""

    @property
    def supervised(self) -> bool:
        """Whether a loss is told who is in which picture."""
        return self.identity_matching or self.identity_classification

    def __post_init__(self) -> None:
        require(self.temperature > 0, "objective.temperature", "> 0", self.temperature)
        for name in ("top_k", "masked_language_layers"):
            require(getattr(self, name) >= 1, f"objective.{name}", ">= 1", getattr(self, name))
        require(
            self.local_from_epoch >= 1, "objective.local_from_epoch", ">= 1", self.local_from_epoch
        )
        require(
            self.relations_from_epoch >= 2,
            "objective.relations_from_epoch",
            ">= 2 (epoch 1 fills the bank)",
            self.relations_from_epoch,
        )
        losses = ("contrastive", "local_relations", "global_relations", "consistency",
                  "identity_matching", "identity_classification", "masked_language")  # fmt: skip
        require(
            any(getattr(self, name) for name in losses), "objective", "at least one loss", "none"
        )
        for name in ("soft_weight", "bank_momentum", "mask_ratio", "masked_language_ratio"):
            value = getattr(self, name)
            require(0 < value <= 1, f"objective.{name}", "within (0, 1]", value)
        for name, known in (("modality", Modality), ("anchor", Anchor)):
            choices = get_args(known)
            require(
                getattr(self, name) in choices,
                f"objective.{name}",
                f"one of {choices}",
                getattr(self, name),
            )


@dataclass(frozen=True)
class OptimConfig:
    """Adam with a linear warm-up, then a cosine to zero."""

    lr: float = 1e-5
    """Highest learning rate, of weights."""
    bias_lr_factor: float = 2.0
    """Biases learn this much faster, and do not decay."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's averages."""
    eps: float = 1e-3
    """Adam's epsilon; large, as in the authors' program."""
    weight_decay: float = 4e-5
    """L2 on everything but biases; decoupled where `decoupled` is set."""
    decoupled: bool = False
    """AdamW's decay in place of Adam's."""
    warmup_epochs: float = 5.0
    """Length of the linear warm-up."""
    warmup_from: float = 0.1
    """The warm-up starts at this share of lr."""
    clip_norm: float | None = None
    """Largest gradient norm; none is clipped where unset."""
    head_lr_factor: float = 5.0
    """Heads outside the encoder, random at the start, learn this much faster."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        for name in ("lr", "eps", "bias_lr_factor", "head_lr_factor", "clip_norm"):
            value = getattr(self, name)
            require(value is None or 0 < value < math.inf, f"optim.{name}", "> 0", value)
        for name in ("warmup_epochs", "weight_decay", "warmup_from"):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"optim.{name}", ">= 0", value)
        require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            "optim.betas",
            "2 numbers within [0, 1)",
            self.betas,
        )


@dataclass(frozen=True)
class SyntheticConfig:
    """How many drawn people are trained on; the val and test people are others."""

    city: str = "harbour"
    """Palette, cameras and wording."""
    num_identities: int = 2000
    """People in the training split."""
    num_val_identities: int = 100
    """People in the val split."""
    num_test_identities: int = 300
    """People in the test split."""
    num_pictures: int = 4
    """Pictures of each person."""
    num_captions: int = 2
    """Captions of each picture."""
    seed: int = 0
    """Draws the same people each time."""

    def __post_init__(self) -> None:
        for name in (
            "num_identities",
            "num_val_identities",
            "num_test_identities",
            "num_pictures",
            "num_captions",
        ):
            require(getattr(self, name) >= 1, f"synthetic.{name}", ">= 1", getattr(self, name))
        require(self.seed >= 0, "synthetic.seed", ">= 0", self.seed)


@dataclass(frozen=True)
class Recipe:
    """All that makes one training run repeatable."""

    name: str
    """Written into the checkpoint."""
    init: Architecture | str
    """An architecture to start at random, or the name of an encoder to start from."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """The losses."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """The optimiser."""
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    """The people of the `synthetic` dataset."""
    batch_size: int = 64
    """Pairs a step, over all processes."""
    epochs: int = 40
    """Passes over the training pairs."""
    augment: bool = False
    """Whether the clean pictures are flipped, shifted and partly erased too."""
    max_bad_pictures: int = 100
    """Training goes on without pictures that can't be read, up to this many."""
    precision: str = "32-true"
    """Lightning Fabric's precision; bf16-mixed where the device is good at it."""
    seed: int = 0
    """Of weights, order, masks and augmentation."""
    select_on: str = "val"
    """Split by whose R1 the kept checkpoint is chosen; `test` is the papers' habit."""
    stored_dtype: str = "float32"
    """Type of the weights in the kept checkpoint."""
    hide_unseen_tokens: bool = False
    """Give tokens that no training caption has the mask token's embedding: from random weights a
    word never seen would be noise, and so it is a word not heard."""

    def __post_init__(self) -> None:
        require(self.batch_size >= 2, "batch_size", ">= 2", self.batch_size)
        require(self.epochs >= 1, "epochs", ">= 1", self.epochs)
        require(self.max_bad_pictures >= 0, "max_bad_pictures", ">= 0", self.max_bad_pictures)
        require(abs(self.seed) < 2**31, "seed", "a number of 32 bits", self.seed)
        require(self.select_on in ("val", "test"), "select_on", "val or test", self.select_on)
        known = ("float32", "float16", "bfloat16")
        require(self.stored_dtype in known, "stored_dtype", f"one of {known}", self.stored_dtype)


def to_plain(config: Architecture | Recipe) -> dict[str, object]:
    """The settings as plain dictionaries and lists, for JSON."""
    return asdict(config)
