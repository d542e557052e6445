"""Training, epoch by epoch: the loop, what it writes down, and how it goes on after a stop."""

import copy
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from model.checkpoint import load_checkpoint, read_card, save_checkpoint
from model.config import Architecture, Recipe, to_plain
from model.data.loader import PairLoader
from model.data.records import Dataset
from model.encoder import DualEncoder
from model.evaluate import evaluate_retrieval
from model.memory_bank import MemoryBank
from model.objective import Objective
from model.optim import build_optimizer, learning_rate_factor, set_learning_rate
from model.relations import measure_relations
from model.tokens import used_tokens
from model.zoo import load_encoder, resolve_device

STATE = "state.pt"
METRICS = "metrics.jsonl"
BEST = "best"


@dataclass(frozen=True)
class Step:
    """Where training is, for whoever watches."""

    epoch: int
    step: int
    num_steps: int
    losses: dict[str, float]
    pairs_per_s: float


def fit(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    on_step: Callable[[Step], None] = lambda step: None,
    on_epoch: Callable[[dict[str, object]], None] = lambda row: None,
) -> Path:
    """Train by a recipe and return the folder of the best checkpoint, `out`/best.

    Each epoch appends a row to metrics.jsonl and replaces state.pt, from which `resume` goes on
    with the same losses as if nothing had happened. Raises ValueError where `out` holds a run and
    resume is not asked for, or the other way round.
    """
    _check_out(out, resume)
    run = Run(recipe, dataset, out, device)
    if resume:
        run.load_state()
    for epoch in range(run.epochs_done + 1, recipe.epochs + 1):
        row = run.train_epoch(epoch, on_step)
        row |= run.assess(epoch)
        run.keep(epoch, row)
        on_epoch(row)
    run.judge_best()
    return out / BEST


def _check_out(out: Path, resume: bool) -> None:
    has_state = (out / STATE).exists()
    if has_state and not resume:
        raise ValueError(f"{out}: holds a run already; resume it or name another folder")
    if resume and not has_state:
        raise ValueError(f"{out}: nothing to resume, expected {STATE}")


class Run:
    """One training run's moving parts."""

    def __init__(self, recipe: Recipe, dataset: Dataset, out: Path, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.dataset, self.out = recipe, dataset, out
        where = resolve_device(device)
        self.fabric = Fabric(
            accelerator=where.type,
            devices=1 if where.index is None else [where.index],
            precision=recipe.precision,  # type: ignore[arg-type]
        )
        self.encoder = _start_encoder(recipe)
        optimizer = build_optimizer(self.encoder, recipe.optim)
        self.wrapped, self.optimizer = self.fabric.setup(self.encoder, optimizer)
        self.bank = (
            MemoryBank(len(dataset.train.captions), self.encoder.dim, self.fabric.device)
            if recipe.objective.global_relations
            else None
        )
        self.objective = Objective(recipe.objective, self.bank)
        self.loader = PairLoader(dataset.train, recipe, self.encoder)
        self.epochs_done = 0
        self.best_r1 = -1.0

    def train_epoch(self, epoch: int, on_step: Callable[[Step], None]) -> dict[str, object]:
        """One pass over the pairs. Returns the mean of each loss, rates and times."""
        self.wrapped.train()
        sums: dict[str, float] = defaultdict(float)
        started = time.perf_counter()
        for number, batch in enumerate(self.loader.batches(epoch, self.fabric.device), start=1):
            self._set_rate(epoch - 1 + (number - 1) / len(self.loader))
            losses = self._step(batch, epoch)
            for name, value in losses.items():
                sums[name] += value
            rate = number * self.recipe.batch_size / (time.perf_counter() - started)
            on_step(Step(epoch, number, len(self.loader), losses, rate))
        return {
            "epoch": epoch,
            "losses": {name: total / len(self.loader) for name, total in sums.items()},
            "pairs_per_s": rate,
            "seconds": time.perf_counter() - started,
        }

    def _step(self, batch: object, epoch: int) -> dict[str, float]:
        losses = self.objective(self.wrapped, batch, epoch)  # type: ignore[arg-type]
        total = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad()
        self.fabric.backward(total)
        if self.recipe.optim.clip_norm is not None:
            self.fabric.clip_gradients(
                self.wrapped, self.optimizer, max_norm=self.recipe.optim.clip_norm
            )
        self.optimizer.step()
        values = torch.stack([loss.detach() for loss in losses.values()]).tolist()
        return dict(zip(losses, values, strict=True))

    def _set_rate(self, progress: float) -> None:
        factor = learning_rate_factor(progress, self.recipe.epochs, self.recipe.optim)
        set_learning_rate(self.optimizer, factor)

    def assess(self, epoch: int) -> dict[str, object]:
        """Retrieval on the selection split, and the share of relations that are right."""
        split = self.dataset.val if self.recipe.select_on == "val" else self.dataset.test
        row: dict[str, object] = {
            self.recipe.select_on: asdict(evaluate_retrieval(self.encoder, split))
        }
        if self.bank is not None:
            train = self.dataset.train
            row["relations"] = asdict(
                measure_relations(
                    self.bank,
                    train.identity_of_pair_N,
                    train.picture_of_pair_N,
                    self.recipe.objective,
                    order_N=self.loader.order(epoch),
                    batch_size=self.recipe.batch_size,
                )
            )
        return row

    def keep(self, epoch: int, row: dict[str, object]) -> None:
        """Write the row, the best checkpoint if this is it, and last the state to resume from."""
        r1 = row[self.recipe.select_on]["r1"]  # type: ignore[index]
        if r1 > self.best_r1:
            self.best_r1 = r1
            self._save_best(row)
        self.epochs_done = epoch
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / METRICS).open("a") as file:
            file.write(json.dumps(row) + "\n")
        partial = self.out / (STATE + ".new")
        torch.save(self._state(), partial)
        partial.replace(self.out / STATE)

    def _save_best(self, row: dict[str, object]) -> None:
        encoder = self.encoder
        if self.recipe.hide_unseen_tokens:
            encoder = copy.deepcopy(encoder)
            encoder.hide_tokens_but(used_tokens(self.loader.tokens_NL))
        self._write_best(encoder, row)

    def judge_best(self) -> None:
        """Add to the best checkpoint's card how it does on the test split."""
        encoder = load_checkpoint(self.out / BEST)
        card = read_card(self.out / BEST)
        test = {
            name: asdict(evaluate_retrieval(encoder, self.dataset.test, mask_ratio=ratio))
            for name, ratio in (("test", 0.0), ("test_half_masked", 0.5))
        }
        self._write_best(encoder, {**card["metrics"], **test})  # type: ignore[dict-item]

    def _write_best(self, encoder: DualEncoder, metrics: dict[str, object]) -> None:
        save_checkpoint(
            encoder,
            self.out / BEST,
            recipe=to_plain(self.recipe),
            metrics=metrics,
            dtype=getattr(torch, self.recipe.stored_dtype),
        )

    def _state(self) -> dict[str, object]:
        return {
            "encoder": self.encoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "bank": self.bank.state_dict() if self.bank is not None else None,
            "epochs_done": self.epochs_done,
            "best_r1": self.best_r1,
            "recipe": json.dumps(to_plain(self.recipe), sort_keys=True),
        }

    def load_state(self) -> None:
        """Go back to the end of the last whole epoch. Raises ValueError for another recipe's."""
        state = torch.load(self.out / STATE, map_location=self.fabric.device, weights_only=True)
        if state["recipe"] != json.dumps(to_plain(self.recipe), sort_keys=True):
            raise ValueError(f"{self.out / STATE}: was made by other settings than these")
        self.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.bank is not None:
            self.bank.load_state_dict(state["bank"])
        self.epochs_done = state["epochs_done"]
        self.best_r1 = state["best_r1"]


def _start_encoder(recipe: Recipe) -> DualEncoder:
    if isinstance(recipe.init, Architecture):
        return DualEncoder(recipe.init)
    return load_encoder(recipe.init, "cpu")
