"""What a training step minimises: the losses that a recipe asks for, by name.

Shapes: B pairs of this process, G pairs of all, L tokens, D embedding, C identities, M hidden
words, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from model.config import ObjectiveConfig
from model.heads import Outputs
from model.losses import global_relation, info_nce, local_relation
from model.losses.supervised import (
    identity_classification,
    masked_language_modelling,
    similarity_distribution_matching,
)
from model.memory_bank import MemoryBank

Model = Callable[..., Outputs]
"""model.heads.Learner, or what wraps it."""
Gather = Callable[[Tensor], Tensor]
"""The rows of all processes from the rows of this one, with gradient."""


@dataclass(frozen=True)
class Batch:
    """B pairs: clean, and the same with less information on both sides.

    What no loss asks for is None.
    """

    index_B: Tensor
    """Numbers of the pairs in the training set, long."""
    pixels_B3HW: Tensor
    """uint8, or float as the encoder normalises it."""
    tokens_BL: Tensor
    """Captions as tokens, long."""
    poor_pixels_B3HW: Tensor | None = None
    """Flipped, shifted and partly erased pictures."""
    poor_tokens_BL: Tensor | None = None
    """Captions with tokens masked."""
    hidden_BL: Tensor | None = None
    """Captions with words hidden that are to be named."""
    answer_BL: Tensor | None = None
    """The hidden words, and padding elsewhere."""
    identity_B: Tensor | None = None
    """Who is shown, 0..C-1, for supervised losses alone."""


class Objective:
    """The sum of Eq. 22, or what of it and of IRRA's losses the settings ask for.

    Holds no weights: only the settings, the memory bank (None where no global relations are asked
    for), and how rows of several processes come together. Losses over pairs of pairs are made of
    the rows of all processes, so that any number of processes has the losses of one.
    """

    def __init__(
        self, config: ObjectiveConfig, bank: MemoryBank | None, gather: Gather = lambda rows: rows
    ) -> None:
        self.config = config
        self.bank = bank
        self.gather = gather

    def __call__(self, model: Model, batch: Batch, epoch: int) -> dict[str, Tensor]:
        """The losses of a batch by name, scalars with gradient; epochs count from 1.

        The bank is read before this batch is written into it.
        """
        made, poor = self._encode(model, batch)
        image_GD, text_GD = self.gather(made.image_BD), self.gather(made.text_BD)
        losses = self._relate(image_GD, text_GD, batch, epoch)
        losses |= self._supervise(made, image_GD, text_GD, batch)
        if poor is not None:
            losses["consistency"] = self._compare_poor(poor, epoch)
        return losses

    def _encode(self, model: Model, batch: Batch) -> tuple[Outputs, Outputs | None]:
        """What is made of the pairs, clean and poor: in one pass, for a GPU at this size waits
        longer for the next thing to do than it works on it."""
        if not self.config.consistency:
            clean = batch.pixels_B3HW, batch.tokens_BL, batch.hidden_BL, batch.answer_BL
            return model(*clean), None
        assert batch.poor_pixels_B3HW is not None and batch.poor_tokens_BL is not None
        if batch.hidden_BL is not None:
            made = model(batch.pixels_B3HW, batch.tokens_BL, batch.hidden_BL, batch.answer_BL)
            return made, model(batch.poor_pixels_B3HW, batch.poor_tokens_BL)
        both = model(
            torch.cat([batch.pixels_B3HW, batch.poor_pixels_B3HW]),
            torch.cat([batch.tokens_BL, batch.poor_tokens_BL]),
        )
        return _half(both, 0), _half(both, 1)

    def _relate(
        self, image_GD: Tensor, text_GD: Tensor, batch: Batch, epoch: int
    ) -> dict[str, Tensor]:
        config, losses = self.config, {}
        if config.contrastive:
            losses["info_nce"] = info_nce(image_GD, text_GD, temperature=config.temperature)
        if config.local_relations and epoch >= config.local_from_epoch:
            losses["local_relation"] = self._match_locally(image_GD, text_GD)
        if self.bank is not None:
            index_G = self.gather(batch.index_B)
            if epoch >= config.relations_from_epoch:
                losses["global_relation"] = self._match_globally(image_GD, text_GD, index_G)
            self.bank.update(index_G, image_GD.detach(), text_GD.detach(), config.bank_momentum)
        return losses

    def _supervise(
        self, made: Outputs, image_GD: Tensor, text_GD: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        config, losses = self.config, {}
        if config.identity_matching:
            assert batch.identity_B is not None
            losses["identity_matching"] = similarity_distribution_matching(
                image_GD, text_GD, self.gather(batch.identity_B), temperature=config.temperature
            )
        if made.image_logits_BC is not None and made.text_logits_BC is not None:
            assert batch.identity_B is not None
            losses["identity_classification"] = identity_classification(
                made.image_logits_BC, made.text_logits_BC, batch.identity_B
            )
        if made.word_logits_MV is not None:
            losses["masked_language"] = self._name_words(made.word_logits_MV, batch)
        return losses

    def _name_words(self, word_logits_MV: Tensor, batch: Batch) -> Tensor:
        """A mean over the hidden words of all processes, of which each holds another number."""
        assert batch.answer_BL is not None
        is_hidden_BL = batch.answer_BL != 0
        num_words_G = self.gather(is_hidden_BL.sum(dim=1))
        num_processes = len(num_words_G) / len(batch.answer_BL)
        loss = masked_language_modelling(word_logits_MV, batch.answer_BL[is_hidden_BL])
        return loss * num_processes / num_words_G.sum()

    def _compare_poor(self, made: Outputs, epoch: int) -> Tensor:
        image_GD, text_GD = self.gather(made.image_BD), self.gather(made.text_BD)
        if epoch >= self.config.local_from_epoch:
            return self._match_locally(image_GD, text_GD)
        return info_nce(image_GD, text_GD, temperature=self.config.temperature)

    def _match_locally(self, image_GD: Tensor, text_GD: Tensor) -> Tensor:
        config = self.config
        return local_relation(
            image_GD,
            text_GD,
            image_threshold=config.image_threshold,
            text_threshold=config.text_threshold,
            soft_weight=config.soft_weight,
            temperature=config.temperature,
            modality=config.modality,
        )

    def _match_globally(self, image_GD: Tensor, text_GD: Tensor, index_G: Tensor) -> Tensor:
        assert self.bank is not None
        config = self.config
        return global_relation(
            image_GD,
            text_GD,
            index_G,
            self.bank,
            top_k=config.top_k,
            threshold=config.bank_threshold,
            anchor=config.anchor,
            temperature=config.temperature,
        )


def _half(both: Outputs, number: int) -> Outputs:
    """Of what was made of two batches in one, the first's (0) or the second's (1)."""
    image_BD, text_BD, *others = (None if made is None else made.chunk(2)[number] for made in both)
    assert image_BD is not None and text_BD is not None
    return Outputs(image_BD, text_BD, *others)
