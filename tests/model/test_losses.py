"""The losses against their oracles, values and gradients, in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model.losses import global_relation, info_nce, local_relation, relation_matching
from model.losses.global_relation import mine_global_relations, weigh_neighbours
from model.memory_bank import MemoryBank
from tests.model import oracles

SIZES = (2, 3, 7, 12)
TEMPERATURES = (0.02, 0.5)


def draw_features(num: int, dim: int = 6, seed: int = 0, spread: float = 0.6) -> Tensor:
    """Features around few centres, so that some pairs are alike and others are not."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(max(2, num // 3), dim, generator=generator, dtype=torch.float64)
    which = torch.randint(len(centres), (num,), generator=generator)
    noise = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return centres[which] + spread * noise


def assert_same(
    fast: Callable[..., Tensor], slow: Callable[..., Tensor], *features: Tensor
) -> None:
    """Values and the gradients of both features agree."""
    results = []
    for loss in (fast, slow):
        leaves = [f.clone().requires_grad_() for f in features]
        value = loss(*leaves)
        results.append((value, *torch.autograd.grad(value, leaves)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("num", SIZES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_info_nce_follows_its_equations(num: int, temperature: float) -> None:
    assert_same(
        lambda i, t: info_nce(i, t, temperature=temperature),
        lambda i, t: oracles.info_nce(i, t, temperature),
        draw_features(num, seed=1),
        draw_features(num, seed=2),
    )


@pytest.mark.parametrize("num", SIZES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_relation_matching_follows_its_equations(num: int, temperature: float) -> None:
    generator = torch.Generator().manual_seed(num)
    target = torch.rand(num, num, generator=generator, dtype=torch.float64)
    target = (target * (target > 0.5)).fill_diagonal_(1.0)
    assert_same(
        lambda i, t: relation_matching(i, t, target, temperature=temperature),
        lambda i, t: oracles.relation_matching(i, t, target.tolist(), temperature),
        draw_features(num, seed=3),
        draw_features(num, seed=4),
    )


@pytest.mark.parametrize("num", SIZES)
@pytest.mark.parametrize("modality", ["both", "image", "text"])
@pytest.mark.parametrize("threshold", [-1.1, 0.5, 0.7, 1.0])
def test_local_relation_follows_its_equations(num: int, modality: str, threshold: float) -> None:
    settings = {
        "image_threshold": threshold,
        "text_threshold": threshold - 0.1,
        "soft_weight": 0.1,
        "temperature": 0.05,
        "modality": modality,
    }
    assert_same(
        lambda i, t: local_relation(i, t, **settings),
        lambda i, t: oracles.local_relation(i, t, **settings),
        draw_features(num, seed=5),
        draw_features(num, seed=6),
    )


@pytest.mark.parametrize("num", SIZES)
@pytest.mark.parametrize("anchor", ["image", "text", "both"])
@pytest.mark.parametrize(
    ("threshold", "kept"), [(-1.1, "all"), (0.6, "some"), (1.0, "none")], ids=lambda v: str(v)
)
def test_global_relation_follows_its_equations(
    num: int, anchor: str, threshold: float, kept: str
) -> None:
    bank = MemoryBank(20, 6)
    bank.image_ND = draw_features(20, seed=7)
    bank.text_ND = draw_features(20, seed=8)
    index = torch.randperm(20, generator=torch.Generator().manual_seed(num))[:num]
    image, text = bank.image_ND[index] + 0.1, bank.text_ND[index] - 0.1
    found = mine_global_relations(image, index, bank.image_ND, threshold=threshold)
    assert {"all": found.kept_Bk.all(), "none": not found.kept_Bk.any(), "some": True}[kept]

    assert_same(
        lambda i, t: global_relation(
            i, t, index, bank, top_k=3, threshold=threshold, anchor=anchor, temperature=0.05
        ),
        lambda i, t: oracles.global_relation(
            i, t, index.tolist(), bank.image_ND, bank.text_ND, 3, threshold, anchor, 0.05
        ),
        image,
        text,
    )


def test_mining_never_returns_the_pair_itself() -> None:
    bank_ND = draw_features(10)
    index = torch.arange(10)
    found = mine_global_relations(bank_ND, index, bank_ND, top_k=9, threshold=-2)
    assert not (found.index_Bk == index[:, None]).any()
    assert found.kept_Bk.all()


def test_mining_from_a_bank_of_two_finds_the_other() -> None:
    bank_ND = draw_features(2)
    found = mine_global_relations(bank_ND[:1], torch.tensor([0]), bank_ND, top_k=3, threshold=-2)
    assert found.index_Bk.tolist() == [[1]]


def test_weights_favour_the_weaker_neighbour() -> None:
    weight = weigh_neighbours(torch.tensor([[0.9, 0.7, 0.6]]), torch.tensor([[True, True, False]]))
    assert 0 < weight[0, 0] < weight[0, 1] < 1
    assert weight[0, 2] == 0


def test_relations_carry_no_gradient_to_the_bank() -> None:
    bank = MemoryBank(8, 6)
    bank.image_ND, bank.text_ND = draw_features(8, seed=1), draw_features(8, seed=2)
    image = bank.image_ND[:4].clone().requires_grad_()
    global_relation(
        image, bank.text_ND[:4], torch.arange(4), bank, threshold=-2, temperature=0.1
    ).backward()
    assert image.grad is not None
    assert bank.image_ND.grad is None


@pytest.mark.parametrize("loss", [info_nce, local_relation])
def test_losses_refuse_unequal_batches(loss: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=r"expected two \(B, D\).*\(3, 6\) and \(2, 6\)"):
        loss(draw_features(3), draw_features(2))


def test_losses_refuse_unknown_choices() -> None:
    features = draw_features(3)
    with pytest.raises(ValueError, match="modality: expected both, image or text, got 'sound'"):
        local_relation(features, features, modality="sound")
    with pytest.raises(ValueError, match="anchor: expected image, text or both, got 'sound'"):
        global_relation(features, features, torch.arange(3), MemoryBank(3, 6), anchor="sound")
    with pytest.raises(ValueError, match=r"target: expected shape \(3, 3\), got \(2, 2\)"):
        relation_matching(features, features, torch.eye(2))


def test_bank_keeps_the_first_feature_and_blends_later_ones() -> None:
    bank = MemoryBank(3, 2)
    index = torch.tensor([2, 0])
    bank.update(index, torch.ones(2, 2), torch.full((2, 2), 2.0), momentum=0.9)
    assert bank.image_ND.tolist() == [[1, 1], [0, 0], [1, 1]]
    bank.update(torch.tensor([2]), torch.zeros(1, 2), torch.zeros(1, 2), momentum=0.9)
    torch.testing.assert_close(bank.image_ND[2], torch.full((2,), 0.1))
    torch.testing.assert_close(bank.text_ND[2], torch.full((2,), 0.2))
    assert bank.written_N.tolist() == [True, False, True]


def test_bank_state_comes_back_and_other_sizes_are_refused() -> None:
    bank, copy = MemoryBank(3, 2), MemoryBank(3, 2)
    bank.update(torch.tensor([1]), torch.ones(1, 2), torch.ones(1, 2))
    copy.load_state_dict(bank.state_dict())
    assert copy.written_N.tolist() == [False, True, False]
    with pytest.raises(ValueError, match=r"bank image_ND: expected \(4, 2\), got \(3, 2\)"):
        MemoryBank(4, 2).load_state_dict(bank.state_dict())
