"""What a training step minimises: the losses that a recipe asks for, by name."""

from dataclasses import dataclass

from torch import Tensor

from model.config import ObjectiveConfig
from model.encoder import DualEncoder
from model.losses import global_relation, info_nce, local_relation
from model.memory_bank import MemoryBank


@dataclass(frozen=True)
class Batch:
    """B pairs: clean, and the same with less information on both sides."""

    index_B: Tensor
    """Numbers of the pairs in the training set, long."""
    pixels_B3HW: Tensor
    """uint8, or float as the encoder normalises it."""
    tokens_BL: Tensor
    """Captions as tokens, long."""
    poor_pixels_B3HW: Tensor | None = None
    """Flipped, shifted and partly erased pictures; None where no loss asks for them."""
    poor_tokens_BL: Tensor | None = None
    """Captions with tokens masked; None where no loss asks for them."""


class Objective:
    """The sum of Eq. 22, or the part of it that the settings leave.

    Holds no weights: only the settings and the memory bank (None where no global relations are
    asked for).
    """

    def __init__(self, config: ObjectiveConfig, bank: MemoryBank | None) -> None:
        self.config = config
        self.bank = bank

    def __call__(self, encoder: DualEncoder, batch: Batch, epoch: int) -> dict[str, Tensor]:
        """The losses of a batch by name, scalars with gradient; epochs count from 1.

        The bank is read before this batch is written into it.
        """
        config = self.config
        image_BD, text_BD = encoder(batch.pixels_B3HW, batch.tokens_BL)
        losses = {"info_nce": info_nce(image_BD, text_BD, temperature=config.temperature)}
        if config.local_relations and epoch >= config.local_from_epoch:
            losses["local_relation"] = self._match_locally(image_BD, text_BD)
        if self.bank is not None:
            if epoch >= config.relations_from_epoch:
                losses["global_relation"] = self._match_globally(image_BD, text_BD, batch.index_B)
            self.bank.update(
                batch.index_B, image_BD.detach(), text_BD.detach(), config.bank_momentum
            )
        if config.consistency:
            assert batch.poor_pixels_B3HW is not None and batch.poor_tokens_BL is not None
            poor_BD = encoder(batch.poor_pixels_B3HW, batch.poor_tokens_BL)
            if epoch >= config.local_from_epoch:
                losses["consistency"] = self._match_locally(*poor_BD)
            else:
                losses["consistency"] = info_nce(*poor_BD, temperature=config.temperature)
        return losses

    def _match_locally(self, image_BD: Tensor, text_BD: Tensor) -> Tensor:
        config = self.config
        return local_relation(
            image_BD,
            text_BD,
            image_threshold=config.image_threshold,
            text_threshold=config.text_threshold,
            soft_weight=config.soft_weight,
            temperature=config.temperature,
            modality=config.modality,
        )

    def _match_globally(self, image_BD: Tensor, text_BD: Tensor, index_B: Tensor) -> Tensor:
        assert self.bank is not None
        config = self.config
        return global_relation(
            image_BD,
            text_BD,
            index_B,
            self.bank,
            top_k=config.top_k,
            threshold=config.bank_threshold,
            anchor=config.anchor,
            temperature=config.temperature,
        )
