"""Training, epoch by epoch: the loop, what it writes down, and how it goes on after a stop."""

import copy
import json
import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch

from model.card import read_card
from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import Recipe, to_plain
from model.data.loader import PairLoader, Share
from model.data.records import Dataset
from model.encoder import DualEncoder
from model.errors import TrainingStopped
from model.evaluate import evaluate_masked, evaluate_retrieval, load_ahead
from model.heads import Learner
from model.memory_bank import MemoryBank
from model.objective import Batch, Objective
from model.optim import build_optimizer, learning_rate_factor, set_learning_rate
from model.processes import gather_objects, gather_rows, launch_fabric
from model.relations import measure_relations
from model.run_folder import TENSORBOARD, RunFolder
from model.run_log import RunLog
from model.tokens import used_tokens
from model.watch import Step, Watch
from model.zoo import start_encoder

HALF_MASKED = 0.5
CHOSEN_ON_TEST = (
    "the best epoch is chosen on the test split, as the papers do: its figures there are better "
    "than on people nobody has looked at"
)


@dataclass(frozen=True)
class Progress:
    """Whole epochs done, and of the one that was begun its steps, sums of losses and seconds."""

    epochs: int = 0
    steps: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    best_r1: float = -1.0
    bad: dict[int, str] = field(default_factory=dict)
    """Pictures that could not be read so far, and why."""


def fit(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    *,
    device: str = "auto",
    workers: int = 0,
    resume: bool = False,
    watch: Watch | None = None,
) -> Path:
    """Train by a recipe and return the folder of the best checkpoint, `out`/best.

    Each epoch appends a row to metrics.jsonl and replaces state.pt, from which `resume` goes on
    with the same losses as if nothing had happened. workers: processes that load pictures.
    Under `torchrun` each process calls it; the first writes. Raises ValueError where `out` holds a
    run and resume is not asked for, or the other way round; TrainingStopped where the watch asked;
    DatasetError where too many pictures can't be read, or one by which the encoder is judged.
    """
    RunFolder(out).check(resume)
    run = Run(recipe, dataset, out, device, workers, watch or Watch())
    if resume:
        run.load_state()
    run.begin()
    try:
        for epoch in range(run.progress.epochs + 1, recipe.epochs + 1):
            run.keep(epoch, run.train_epoch(epoch))
        run.judge_best()
    finally:
        run.log.close()
    return run.folder.best


class Run:
    """One training run's moving parts."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        out: Path,
        device: str,
        workers: int,
        watch: Watch,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.dataset, self.watch = recipe, dataset, watch
        self.folder = RunFolder(out)
        self.fabric = launch_fabric(device, recipe.precision)
        self.encoder = start_encoder(recipe.init)
        self.loader = PairLoader(
            dataset.train,
            recipe,
            self.encoder,
            share=Share(self.fabric.global_rank, self.fabric.world_size),
            workers=workers,
            on_bad=lambda reason: watch.on_note(f"left out: {reason}"),
        )
        self.learner = Learner(self.encoder, recipe.objective, self.loader.num_identities)
        optimizer = build_optimizer(self.learner, recipe.optim, self.learner.head_parameters())
        self.wrapped, self.optimizer = self.fabric.setup(self.learner, optimizer)
        self.bank = (
            MemoryBank(len(dataset.train.captions), self.encoder.dim, self.fabric.device)
            if recipe.objective.global_relations
            else None
        )
        gather = partial(gather_rows, self.fabric)
        self.objective = Objective(recipe.objective, self.bank, gather)
        self.progress = Progress()
        self.random_state: torch.Tensor | None = None
        self.selection = dataset.split(recipe.select_on)
        if recipe.select_on == "test":
            watch.on_note(CHOSEN_ON_TEST)
        self.log = RunLog()

    def begin(self) -> None:
        """Make the folder what the state says, and keep curves, in the first process.

        Raises PictureError now, not after an epoch, for one that judging needs.
        """
        if not self.fabric.is_global_zero:
            return
        for split in {self.recipe.select_on: self.selection, "test": self.dataset.test}.values():
            for _ in load_ahead(split.pictures):
                pass
        self.folder.go_back(self.progress.epochs)
        done = self.progress.epochs * len(self.loader) + self.progress.steps
        if not self.log.open(self.folder.path / TENSORBOARD, done + 1):
            self.watch.on_note(
                "no curves: TensorBoard is not installed (pip install passerby[train])"
            )

    def train_epoch(self, epoch: int) -> dict[str, object]:
        """One pass over the pairs, or the rest of it. Returns the mean of each loss, and rates."""
        self.wrapped.train()
        begun, started = self.progress, time.perf_counter()
        sums = dict(begun.sums)
        batches = self.loader.batches(epoch, self.fabric.device, begun.steps, self.random_state)
        for number, batch in enumerate(batches, start=begun.steps + 1):
            self._set_rate(epoch - 1 + (number - 1) / len(self.loader))
            losses, stop_asked = self._step(batch, epoch)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            seconds = begun.seconds + time.perf_counter() - started
            self._tell(epoch, number, losses, number * self.recipe.batch_size / seconds)
            if stop_asked and number < len(self.loader):
                self.progress = replace(begun, steps=number, sums=sums, seconds=seconds)
                self.random_state = self.loader.random_state()
                self._stop(epoch)
        seconds = begun.seconds + time.perf_counter() - started
        return {
            "epoch": epoch,
            "losses": {name: total / len(self.loader) for name, total in sums.items()},
            "pairs_per_s": len(self.loader) * self.recipe.batch_size / seconds,
            "seconds": seconds,
            "bad_pictures": len(self._share_bad()),
        }

    def _share_bad(self) -> dict[int, str]:
        """The pictures that no process could read, known to all from here on."""
        for bad in gather_objects(self.fabric, self.loader.bad.copy()):
            self.loader.note(bad)
        return self.loader.bad.copy()

    def _step(self, batch: Batch, epoch: int) -> tuple[dict[str, float], bool]:
        """The losses, and whether any process was asked to stop."""
        losses = self.objective(self.wrapped, batch, epoch)
        total = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad()
        self.fabric.backward(total)
        if self.recipe.optim.clip_norm is not None:
            self.fabric.clip_gradients(
                self.wrapped, self.optimizer, max_norm=self.recipe.optim.clip_norm
            )
        self.optimizer.step()
        stop_asked = torch.tensor(float(self.watch.stop_asked()), device=total.device)
        values = torch.stack([*(loss.detach() for loss in losses.values()), stop_asked])
        *means, stopping = cast("torch.Tensor", self.fabric.all_reduce(values)).tolist()
        return dict(zip(losses, means, strict=True)), stopping > 0

    def _set_rate(self, progress: float) -> None:
        factor = learning_rate_factor(progress, self.recipe.epochs, self.recipe.optim)
        set_learning_rate(self.optimizer, factor)

    def _tell(self, epoch: int, number: int, losses: dict[str, float], rate: float) -> None:
        lr = self.optimizer.param_groups[0]["lr"]
        self.log.add_step((epoch - 1) * len(self.loader) + number, losses, rate, lr)
        if self.fabric.is_global_zero:
            self.watch.on_step(Step(epoch, number, len(self.loader), losses, rate))

    def _stop(self, epoch: int) -> None:
        self._save_state()
        raise TrainingStopped(
            f"{self.folder.path}: stopped in epoch {epoch} after {self.progress.steps} of "
            f"{len(self.loader)} steps; resume it to go on"
        )

    def assess(self, epoch: int) -> dict[str, object]:
        """Retrieval on the selection split, and the share of relations that are right."""
        row: dict[str, object] = {
            self.recipe.select_on: asdict(evaluate_retrieval(self.encoder, self.selection))
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
        """Judge the epoch; write its row, the best checkpoint if this is it, and last the state."""
        best_r1 = self.progress.best_r1
        first = self.fabric.is_global_zero
        if first:
            row |= self.assess(epoch)
            r1 = row[self.recipe.select_on]["r1"]  # type: ignore[index]
            if r1 > best_r1:
                best_r1 = r1
                self._save_best(row)
            self.folder.append_row(row)
            self.log.add_epoch(epoch * len(self.loader), row)
        self.progress, self.random_state = Progress(epochs=epoch, best_r1=best_r1), None
        self._save_state()
        if first:
            self.watch.on_epoch(row)

    def _save_best(self, row: dict[str, object]) -> None:
        encoder = self.encoder
        if self.recipe.hide_unseen_tokens:
            encoder = copy.deepcopy(encoder)
            encoder.hide_tokens_but(used_tokens(self.loader.tokens_NL))
        self._write_best(encoder, row)

    def judge_best(self) -> None:
        """Add to the best checkpoint's card how it does on the test split, where there is one."""
        if self.fabric.is_global_zero and len(self.dataset.test.captions):
            encoder = load_checkpoint(self.folder.best)
            card = read_card(self.folder.best)
            whole, half = evaluate_masked(encoder, self.dataset.test, (0.0, HALF_MASKED))
            test = {"test": asdict(whole), "test_half_masked": asdict(half)}
            self._write_best(encoder, {**card["metrics"], **test})  # type: ignore[dict-item]
        self.fabric.barrier()

    def _write_best(self, encoder: DualEncoder, metrics: dict[str, object]) -> None:
        save_checkpoint(
            encoder,
            self.folder.best,
            recipe=to_plain(self.recipe) | {"dataset": self.dataset.name},
            metrics=metrics,
            dtype=getattr(torch, self.recipe.stored_dtype),
        )

    def _save_state(self) -> None:
        self.progress = replace(self.progress, bad=self._share_bad())
        if self.fabric.is_global_zero:
            self.folder.save_state(
                {
                    "learner": self.learner.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "bank": self.bank.state_dict() if self.bank is not None else None,
                    "progress": asdict(self.progress),
                    "random_state": self.random_state,
                    "recipe": json.dumps(to_plain(self.recipe), sort_keys=True),
                    "dataset": self.dataset.name,
                }
            )
        self.fabric.barrier()

    def load_state(self) -> None:
        """Go back to where the run was saved last. Raises ValueError for another recipe's."""
        plain = to_plain(self.recipe)
        state = self.folder.load_state(self.fabric.device, plain, self.dataset.name)
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.bank is not None:
            self.bank.load_state_dict(state["bank"])
        self.progress = Progress(**state["progress"])
        self.loader.bad |= self.progress.bad
        random_state = state["random_state"]
        self.random_state = random_state.cpu() if isinstance(random_state, torch.Tensor) else None
