"""The loop on a tiny model: it learns, writes down what it did, and resumes exactly."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model import load_encoder
from model.checkpoint import read_card
from model.config import ObjectiveConfig, OptimConfig, Recipe
from model.data.loader import PairLoader
from model.data.records import Dataset
from model.encoder import DualEncoder
from model.errors import TrainingStopped
from model.evaluate import evaluate_retrieval
from model.heads import Learner
from model.memory_bank import MemoryBank
from model.objective import Objective
from model.optim import build_optimizer, learning_rate_factor
from model.recipe import load_recipe
from model.relations import measure_relations
from model.run_folder import METRICS
from model.tokens import MASK_TOKEN, tokenize
from model.trainer import fit
from model.watch import Watch
from tests.model.conftest import TINY

RECIPE = Recipe(
    name="tiny",
    init=TINY,
    objective=ObjectiveConfig(local_from_epoch=2, relations_from_epoch=3, temperature=0.05),
    optim=OptimConfig(lr=3e-3, eps=1e-8, warmup_epochs=1, decoupled=True, clip_norm=1.0),
    batch_size=8,
    epochs=4,
)


def read_rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / METRICS).read_text().splitlines()]


def test_training_learns_to_find_people(tmp_path: Path, coloured: Dataset) -> None:
    late = replace(
        RECIPE.objective, local_from_epoch=25, relations_from_epoch=25, image_threshold=0.95,
        text_threshold=0.95, bank_threshold=0.95,
    )  # fmt: skip
    recipe = replace(RECIPE, epochs=40, objective=late)
    best = fit(recipe, coloured, tmp_path / "run", device="cpu")
    metrics = evaluate_retrieval(load_encoder(str(best), "cpu"), coloured.test)
    assert metrics.r1 > 40  # chance is 6
    rows = read_rows(tmp_path / "run")
    assert [row["epoch"] for row in rows] == list(range(1, 41))
    assert max(row["val"]["r1"] for row in rows) > 40


def test_kept_checkpoint_is_stored_and_judged_as_the_recipe_says(
    tmp_path: Path, coloured: Dataset
) -> None:
    recipe = replace(RECIPE, epochs=1, stored_dtype="float16", hide_unseen_tokens=True)
    best = fit(recipe, coloured, tmp_path / "run", device="cpu")
    card = read_card(best)
    encoder = load_encoder(str(best), "cpu")
    assert card["weights_dtype"] == "float16"
    assert card["recipe"]["name"] == "tiny"
    assert card["metrics"]["test"] == asdict(evaluate_retrieval(encoder, coloured.test))
    assert set(card["metrics"]) >= {"epoch", "losses", "val", "relations", "test_half_masked"}
    words = encoder.clip.token_embedding.weight
    assert torch.equal(words[tokenize(["zebra"])[0, 1]], words[MASK_TOKEN])
    assert not torch.equal(words[tokenize(["red"])[0, 1]], words[MASK_TOKEN])


def test_losses_come_in_by_epoch(tmp_path: Path, coloured: Dataset) -> None:
    fit(RECIPE, coloured, tmp_path / "run", device="cpu")
    names = [set(row["losses"]) for row in read_rows(tmp_path / "run")]
    assert names[0] == {"info_nce", "consistency"}
    assert names[1] == {"info_nce", "consistency", "local_relation"}
    assert names[2] == names[3] == {*names[1], "global_relation"}


def test_stopped_run_resumes_to_the_same_losses(tmp_path: Path, coloured: Dataset) -> None:
    fit(RECIPE, coloured, tmp_path / "whole", device="cpu")

    class Stopped(Exception):
        pass

    def stop_in_third_epoch(step) -> None:
        if (step.epoch, step.step) == (3, 2):
            raise Stopped

    with pytest.raises(Stopped):
        watch = Watch(on_step=stop_in_third_epoch)
        fit(RECIPE, coloured, tmp_path / "cut", device="cpu", watch=watch)
    fit(RECIPE, coloured, tmp_path / "cut", device="cpu", resume=True)
    assert comparable(tmp_path / "whole") == comparable(tmp_path / "cut")


def test_run_is_neither_overwritten_nor_resumed_by_mistake(
    tmp_path: Path, coloured: Dataset
) -> None:
    recipe = replace(RECIPE, epochs=1)
    with pytest.raises(ValueError, match="nothing to resume"):
        fit(recipe, coloured, tmp_path, device="cpu", resume=True)
    fit(recipe, coloured, tmp_path, device="cpu")
    with pytest.raises(ValueError, match="holds a run already"):
        fit(recipe, coloured, tmp_path, device="cpu")
    with pytest.raises(ValueError, match="other settings: seed = 0, got 1"):
        fit(replace(recipe, seed=1), coloured, tmp_path, device="cpu", resume=True)
    with pytest.raises(ValueError, match="was trained on coloured, not others"):
        fit(recipe, replace(coloured, name="others"), tmp_path, device="cpu", resume=True)


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({"local_relations": False, "global_relations": False, "consistency": False}, {"info_nce"}),
        ({"global_relations": False, "consistency": False}, {"info_nce", "local_relation"}),
        ({"local_relations": False, "consistency": False}, {"info_nce", "global_relation"}),
        ({"consistency": False}, {"info_nce", "local_relation", "global_relation"}),
        ({}, {"info_nce", "local_relation", "global_relation", "consistency"}),
    ],
)
def test_switches_give_the_papers_ablations(
    coloured: Dataset, tiny_encoder: DualEncoder, switches: dict, expected: set[str]
) -> None:
    config = ObjectiveConfig(**switches)
    recipe = replace(RECIPE, objective=config)
    bank = MemoryBank(32, tiny_encoder.dim) if config.global_relations else None
    loader = PairLoader(coloured.train, recipe, tiny_encoder)
    batch = next(loader.batches(1, torch.device("cpu")))
    assert (batch.poor_tokens_BL is not None) == config.consistency
    learner = Learner(tiny_encoder, config, loader.num_identities)
    losses = Objective(config, bank)(learner, batch, epoch=2)
    assert set(losses) == expected
    assert all(loss.isfinite() for loss in losses.values())


def test_loader_repeats_an_epoch_and_covers_every_pair(
    coloured: Dataset, tiny_encoder: DualEncoder
) -> None:
    loader = PairLoader(coloured.train, RECIPE, tiny_encoder)
    first, again, other = (
        torch.cat([batch.index_B for batch in loader.batches(epoch, torch.device("cpu"))])
        for epoch in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert sorted(first.tolist()) == list(range(32))
    assert torch.equal(loader.order(1), first)


def test_relations_are_judged_by_true_identity() -> None:
    bank = MemoryBank(4, 2)
    features = torch.tensor([[1.0, 0.0], [1.0, 0.01], [1.0, 0.02], [-1.0, 0.0]])
    bank.update(torch.arange(4), features, features)
    report = measure_relations(
        bank,
        np.array([0, 0, 1, 2]),
        np.array([0, 1, 2, 3]),
        ObjectiveConfig(top_k=1),
        order_N=torch.arange(4),
        batch_size=4,
    )
    assert report.local_mined == 6
    assert report.local_right == pytest.approx(100 * 2 / 6)
    assert report.global_mined == 3  # 0 and 2 take 1, 1 takes either; 3 is alone
    assert report.global_right in (pytest.approx(100 / 3), pytest.approx(200 / 3))


def test_learning_rate_rises_then_falls_to_zero() -> None:
    config = OptimConfig(warmup_epochs=5, warmup_from=0.1)
    assert learning_rate_factor(0, 40, config) == pytest.approx(0.1)
    assert learning_rate_factor(2.5, 40, config) == pytest.approx(0.55)
    assert learning_rate_factor(5, 40, config) == pytest.approx(1)
    assert learning_rate_factor(22.5, 40, config) == pytest.approx(0.5)
    assert learning_rate_factor(40, 40, config) == pytest.approx(0)


def test_biases_learn_faster_and_do_not_decay(tiny_encoder: DualEncoder) -> None:
    learner = Learner(tiny_encoder, ObjectiveConfig(), 1)
    weights, biases = build_optimizer(learner, OptimConfig()).param_groups
    assert biases["lr"] == 2 * weights["lr"]
    assert (weights["weight_decay"], biases["weight_decay"]) == (4e-5, 0)
    scale = [tiny_encoder.clip.logit_scale]
    assert len([*weights["params"], *biases["params"], *scale]) == len([*learner.parameters()])
    assert all(parameter.ndim == 1 for parameter in biases["params"])


def test_stop_saves_the_step_and_resume_gives_the_same_losses(
    tmp_path: Path, coloured: Dataset
) -> None:
    fit(RECIPE, coloured, tmp_path / "whole", device="cpu")
    at: list[tuple[int, int]] = []
    for stop_at in ((1, 1), (1, 3), (3, 2)):
        watch = Watch(
            on_step=lambda step: at.append((step.epoch, step.step)),
            stop_asked=lambda stop_at=stop_at: next_step(at) == stop_at,
        )
        with pytest.raises(TrainingStopped, match=rf"epoch {stop_at[0]} after {stop_at[1]} of 4"):
            resume = bool(at)
            fit(RECIPE, coloured, tmp_path / "cut", device="cpu", resume=resume, watch=watch)
    fit(RECIPE, coloured, tmp_path / "cut", device="cpu", resume=True)
    assert at == [(1, 1), (1, 2), (1, 3), (1, 4), *((2, n) for n in range(1, 5)), (3, 1), (3, 2)]
    assert comparable(tmp_path / "whole") == comparable(tmp_path / "cut")


def next_step(done: list[tuple[int, int]]) -> tuple[int, int]:
    """The step of four an epoch that comes after those told of."""
    epoch, step = done[-1] if done else (1, 0)
    return (epoch, step + 1) if step < 4 else (epoch + 1, 1)


def comparable(out: Path) -> list[dict]:
    timing = {"pairs_per_s", "seconds"}
    return [{k: v for k, v in row.items() if k not in timing} for row in read_rows(out)]


def test_row_without_its_state_is_not_repeated_on_resume(tmp_path: Path, coloured: Dataset) -> None:
    fit(RECIPE, coloured, tmp_path / "whole", device="cpu")
    out = tmp_path / "cut"
    fit_until(out, coloured, epochs=2)
    with (out / METRICS).open("a") as file:  # killed after the third row, before its state
        file.write(json.dumps({"epoch": 3, "losses": {}}) + '\n{"epoch": 4, "los')
    fit(RECIPE, coloured, out, device="cpu", resume=True)
    assert comparable(out) == comparable(tmp_path / "whole")


def fit_until(out: Path, dataset: Dataset, epochs: int) -> None:
    def stop_asked() -> bool:
        return (out / METRICS).exists() and len(read_rows(out)) >= epochs

    with pytest.raises(TrainingStopped):
        fit(RECIPE, dataset, out, device="cpu", watch=Watch(stop_asked=stop_asked))


def test_supervised_recipe_learns_from_identities_and_words(
    tmp_path: Path, coloured: Dataset
) -> None:
    irra = load_recipe("irra").objective
    recipe = replace(
        RECIPE, objective=replace(irra, temperature=0.05), epochs=12, augment=True, batch_size=16
    )
    best = fit(recipe, coloured, tmp_path / "run", device="cpu")
    rows = read_rows(tmp_path / "run")
    names = {"identity_matching", "identity_classification", "masked_language"}
    assert set(rows[0]["losses"]) == names
    assert all(rows[-1]["losses"][name] < rows[0]["losses"][name] for name in names)
    assert load_encoder(str(best), "cpu").dim == TINY.embed_dim  # the heads stay behind


def test_no_weakly_supervised_loss_is_told_who_is_shown(
    coloured: Dataset, tiny_encoder: DualEncoder
) -> None:
    batch = next(PairLoader(coloured.train, RECIPE, tiny_encoder).batches(1, torch.device("cpu")))
    assert batch.identity_B is None


def test_best_epoch_is_chosen_where_the_recipe_says(tmp_path: Path, coloured: Dataset) -> None:
    notes: list[str] = []
    recipe = replace(RECIPE, epochs=1, select_on="test")
    empty = replace(coloured.val, captions=(), picture_of_pair_N=np.array([], np.int64))
    dataset = replace(coloured, val=empty)
    with pytest.raises(ValueError, match="coloured: expected pairs in the split val, got none"):
        fit(replace(recipe, select_on="val"), dataset, tmp_path / "val", device="cpu")
    fit(recipe, dataset, tmp_path / "test", device="cpu", watch=Watch(on_note=notes.append))
    (row,) = read_rows(tmp_path / "test")
    assert row["test"] == read_card(tmp_path / "test" / "best")["metrics"]["test"]
    assert "chosen on the test split" in notes[0]
