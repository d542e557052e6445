"""Heads that only training needs: they see what they should, and are the published size."""

from dataclasses import replace

import pytest
import torch

from model.config import ObjectiveConfig
from model.encoder import DualEncoder
from model.heads import Learner, MaskedLanguageHead
from model.losses.supervised import similarity_distribution_matching
from model.optim import build_optimizer
from model.recipe import load_recipe
from model.tokens import MASK_TOKEN, PAD_TOKEN, hide_words, tokenize
from tests.model.conftest import VIT_B16


def test_image_tokens_begin_with_the_pictures_own_feature(tiny_encoder: DualEncoder) -> None:
    pixels = torch.randint(0, 256, (3, 3, 32, 16), dtype=torch.uint8)
    tokens_BPD = tiny_encoder.image_tokens(pixels)
    assert tokens_BPD.shape == (3, 1 + 4 * 2, 16)
    torch.testing.assert_close(tokens_BPD[:, 0], tiny_encoder.image_features(pixels))


def test_text_tokens_hold_the_texts_own_feature_at_its_end(tiny_encoder: DualEncoder) -> None:
    tokens = tokenize(["a red shirt", "someone in a long blue coat"])
    picked = tiny_encoder.text_tokens(tokens)[torch.arange(2), tokens.argmax(dim=1)]
    torch.testing.assert_close(picked, tiny_encoder.text_features(tokens))


def test_hide_words_hides_words_alone_and_remembers_them() -> None:
    tokens = tokenize(["a person in a red shirt and blue trousers"] * 2000 + ["red"])
    hidden, answer = hide_words(tokens, 0.15, torch.Generator().manual_seed(0))
    chosen = answer != PAD_TOKEN
    assert torch.equal(answer[chosen], tokens[chosen])
    assert torch.equal(hidden[~chosen], tokens[~chosen])
    assert chosen.any(dim=1).all()
    assert not chosen[:, 0].any()  # the start token
    assert not (chosen & (tokens >= 49406)).any()
    became_mask = (hidden[chosen] == MASK_TOKEN).float().mean()
    stayed = (hidden[chosen] == tokens[chosen]).float().mean()
    assert became_mask == pytest.approx(0.8, abs=0.03)
    assert stayed == pytest.approx(0.1, abs=0.03)


def test_hidden_words_are_named_from_the_picture(tiny_encoder: DualEncoder) -> None:
    config = ObjectiveConfig(masked_language=True, masked_language_layers=1)
    learner = Learner(tiny_encoder, config, 5)
    tokens = tokenize(["a red shirt", "a long blue coat"])
    hidden, answer = hide_words(tokens, 0.3, torch.Generator().manual_seed(1))
    pictures = torch.randint(0, 256, (2, 2, 3, 32, 16), dtype=torch.uint8)
    one, other = (learner(pixels, tokens, hidden, answer) for pixels in pictures)
    assert one.word_logits_MV.shape == (int((answer != PAD_TOKEN).sum()), 49408)
    assert not torch.allclose(one.word_logits_MV, other.word_logits_MV)
    torch.testing.assert_close(one.text_BD, tiny_encoder.text_features(tokens))


def test_matching_against_identities_is_its_definition() -> None:
    torch.manual_seed(0)
    image, text = (torch.randn(5, 8, dtype=torch.float64, requires_grad=True) for _ in range(2))
    identity = torch.tensor([4, 7, 4, 4, 9])
    sim = torch.nn.functional.cosine_similarity(image[:, None], text[None], dim=2) / 0.02
    expected = torch.zeros((), dtype=torch.float64)
    for logits in (sim, sim.T):
        for row in range(5):
            p = logits[row].softmax(dim=0)
            same = (identity == identity[row]).double()
            expected = expected + (p * (p.log() - (same / same.sum() + 1e-8).log())).sum() / 5
    loss = similarity_distribution_matching(image, text, identity)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, image)[0], torch.autograd.grad(expected, image)[0]
    )


def test_irra_has_the_published_number_of_parameters() -> None:
    """194.5 M on CUHK-PEDES with its 11,003 training identities; counted without memory."""
    with torch.device("meta"):
        learner = Learner(DualEncoder(VIT_B16), load_recipe("irra").objective, 11_003)
    total = sum(parameter.numel() for parameter in learner.parameters())
    assert total / 1e6 == pytest.approx(194.5, abs=0.1)


def test_heads_learn_faster_than_the_encoder(tiny_encoder: DualEncoder) -> None:
    recipe = load_recipe("irra")
    config = replace(recipe.objective, masked_language_layers=1)
    learner = Learner(tiny_encoder, config, 5)
    groups = build_optimizer(learner, recipe.optim, learner.head_parameters()).param_groups
    rates = [group["lr"] / recipe.optim.lr for group in groups]
    assert rates == pytest.approx([1, 2, 5, 5])
    assert [group["weight_decay"] for group in groups] == [4e-5, 0, 4e-5, 0]
    assert isinstance(learner.word_head, MaskedLanguageHead)
