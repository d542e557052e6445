"""What a run leaves when it is killed, stopped by a full disk or by a picture, and goes on from."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model import trainer
from model.card import read_card
from model.checkpoint import save_checkpoint
from model.data.records import Dataset
from model.encoder import DualEncoder
from model.errors import CheckpointError, ModelError, PictureError, TrainingStopped
from model.run_folder import METRICS, STATE, RunFolder, find_differences
from model.trainer import fit
from model.watch import Watch
from tests.model.test_loader import damage
from tests.model.test_trainer import RECIPE, comparable, read_rows

SHORT = replace(RECIPE, epochs=2)


@contextmanager
def full_disk(limit_bytes: int) -> Iterator[None]:
    """No file may grow beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_run_killed_in_its_first_epoch_starts_again(tmp_path: Path, coloured: Dataset) -> None:
    (tmp_path / METRICS).write_text('{"epoch": 1, "los')  # killed while it wrote the row
    fit(SHORT, coloured, tmp_path, device="cpu")
    assert [row["epoch"] for row in read_rows(tmp_path)] == [1, 2]
    (tmp_path / STATE).unlink()
    with pytest.raises(ValueError, match=r"holds metrics\.jsonl of a run, but no state\.pt"):
        fit(SHORT, coloured, tmp_path, device="cpu")


def test_run_killed_while_the_best_is_replaced_goes_on(tmp_path: Path, coloured: Dataset) -> None:
    best = fit(SHORT, coloured, tmp_path, device="cpu")
    card = read_card(best)
    best.rename(tmp_path / ".best.old")
    assert fit(SHORT, coloured, tmp_path, device="cpu", resume=True) == best
    assert read_card(best) == card
    assert not (tmp_path / ".best.old").exists()


def test_saving_leaves_a_users_own_folders_alone(tmp_path: Path, tiny_encoder: DualEncoder) -> None:
    for name in ("best", "best.old", "best.new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").touch()
    save_checkpoint(tiny_encoder, tmp_path / "best", recipe={}, metrics={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "best.new", "best.old"]
    assert (tmp_path / "best.old" / "mine").exists() and (tmp_path / "best.new" / "mine").exists()


def test_full_disk_leaves_what_was_saved_before(tmp_path: Path, tiny_encoder: DualEncoder) -> None:
    folder, best = RunFolder(tmp_path), tmp_path / "best"
    folder.save_state({"weights": torch.zeros(8)})
    save_checkpoint(tiny_encoder, best, recipe={"name": "before"}, metrics={})
    with full_disk(10_000):
        with pytest.raises(ModelError, match=r"state\.pt: can't be written, is the disk full\?"):
            folder.save_state({"weights": torch.zeros(8_000)})
        with pytest.raises(CheckpointError, match=r"best: can't be written: .*File too large"):
            save_checkpoint(tiny_encoder, best, recipe={}, metrics={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "state.pt"]
    assert torch.load(tmp_path / STATE, weights_only=True)["weights"].shape == (8,)
    assert read_card(best)["recipe"] == {"name": "before"}


def test_differences_name_the_setting() -> None:
    before = {"seed": 0, "optim": {"lr": 0.1, "betas": [0.9, 0.99]}}
    now = {"seed": 0, "optim": {"lr": 0.2, "betas": [0.9, 0.99]}}
    assert [*find_differences(before, now)] == [("optim.lr = 0.1", 0.2)]
    assert [*find_differences(before, before)] == []


def test_pictures_that_judge_are_read_before_anything_is_trained(
    tmp_path: Path, coloured: Dataset
) -> None:
    for name in ("val", "test"):
        damaged = replace(coloured, **{name: damage(coloured.split(name), 7)})
        with pytest.raises(PictureError, match=r"picture 7\.jpg: broken"):
            fit(SHORT, damaged, tmp_path / name, device="cpu")
        assert not (tmp_path / name).exists()


def test_bad_pictures_of_all_processes_are_told_and_kept_over_a_stop(
    tmp_path: Path, coloured: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = replace(coloured, train=damage(coloured.train, 3, 20))
    elsewhere = {5: "picture 5.jpg: broken in another process"}
    monkeypatch.setattr(trainer, "gather_objects", lambda fabric, bad: [bad, elsewhere])
    told: list[str] = []
    watch = Watch(on_note=told.append)
    fit(SHORT, dataset, tmp_path / "whole", device="cpu", watch=watch)
    assert sorted(told) == [
        "left out: picture 20.jpg: broken data stream",
        "left out: picture 3.jpg: broken data stream",
        "left out: picture 5.jpg: broken in another process",
    ]
    out = tmp_path / "cut"
    stop = Watch(stop_asked=lambda: (out / METRICS).exists())
    with pytest.raises(TrainingStopped):
        fit(SHORT, dataset, out, device="cpu", watch=stop)
    fit(SHORT, dataset, out, device="cpu", resume=True, watch=watch)
    assert comparable(out) == comparable(tmp_path / "whole")
    assert [row["bad_pictures"] for row in read_rows(out)] == [3, 3]
    assert len(told) == 3
