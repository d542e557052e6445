"""Detectors: the small one, torchvision's from files, their measure, and how one is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import get_model, get_model_weights

from app.commands.research.detector import train_detector
from model.data.street import draw_frame
from model.detector import load_detector
from model.detector_evaluation import match, measure_detections, overlaps
from model.detector_small import SHIPPED, Training, save_small, train_small
from model.errors import CheckpointError, WeightsUnavailableError

UNSEEN = range(30_000_000, 30_000_100)


def test_frame_is_the_same_for_the_same_number() -> None:
    first, again, other = (draw_frame(n, seed=1, identities=UNSEEN) for n in (5, 5, 6))
    assert first.people == again.people
    assert np.array_equal(np.asarray(first.image), np.asarray(again.image))
    assert other.people != first.people


def test_people_of_a_frame_are_in_it_and_some_frames_are_empty() -> None:
    frames = [draw_frame(n, seed=1, identities=UNSEEN, size=(180, 320)) for n in range(40)]
    assert any(not frame.people for frame in frames)
    for frame in frames:
        assert len({person.identity for person in frame.people}) == len(frame.people)
        for person in frame.people:
            x, y, wide, high = person.box
            assert 0 <= x < x + wide <= 320
            assert 0 <= y < y + high <= 180


def test_shipped_detector_finds_most_people_and_little_else() -> None:
    assert SHIPPED.stat().st_size < 8 * 2**20
    detector = load_detector("small")
    frames = [draw_frame(30_000_000 + n, seed=1, identities=UNSEEN) for n in range(12)]
    found = detector.detect([np.asarray(frame.image) for frame in frames])
    truth = [
        np.array([(x, y, x + w, y + h) for x, y, w, h in (p.box for p in frame.people)], np.float32)
        for frame in frames
    ]
    figures = measure_detections(found, [boxes.reshape(-1, 4) for boxes in truth])
    assert figures.num_people > 20
    assert figures.average_precision > 0.7
    assert figures.precision > 0.7


def test_torchvisions_own_weights_are_taken_from_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "ssdlite320_mobilenet_v3_large"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    name = Path(get_model_weights(kind).DEFAULT.url).name
    with pytest.raises(WeightsUnavailableError, match=f"expected {tmp_path}/checkpoints/{name}"):
        load_detector(kind)
    (tmp_path / "checkpoints").mkdir()
    torch.manual_seed(0)
    network = get_model(kind, weights=None, weights_backbone=None)
    torch.save(network.state_dict(), tmp_path / "checkpoints" / name)
    detector = load_detector(kind)
    assert detector.fingerprint.startswith(f"{kind}-")
    assert detector.max_side_px == 320
    ((boxes_N4, scores_N),) = detector.detect([np.zeros((90, 160, 3), np.uint8)])
    assert boxes_N4.shape == (len(scores_N), 4)
    by_path = load_detector(f"{kind}:{tmp_path / 'checkpoints' / name}")
    assert by_path.fingerprint == detector.fingerprint


def test_only_people_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = load_detector("small")
    boxes = torch.tensor([[0.0, 0, 5, 5], [1, 1, 6, 6], [2, 2, 7, 7]])
    result = {"boxes": boxes, "labels": torch.tensor([2, 1, 3]), "scores": torch.rand(3)}
    monkeypatch.setattr(detector._network, "forward", lambda _: [result])
    ((boxes_N4, _),) = detector.detect([np.zeros((9, 9, 3), np.uint8)])
    assert boxes_N4.tolist() == [[1, 1, 6, 6]]


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = load_file(SHIPPED)
    first, *_, last = sorted(state)
    del state[first]
    state["more"] = torch.zeros(1)
    state[last] = torch.zeros(3, 3)
    save_file(state, tmp_path / "bad.safetensors")
    with pytest.raises(CheckpointError) as told:
        load_detector(f"small:{tmp_path / 'bad.safetensors'}")
    for said in (f"{first} is missing", "more is unknown", f"{last} has shape (3, 3), expected"):
        assert said in str(told.value)


def test_file_that_is_no_weights_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=r"x\.pth: not readable as weights"):
        load_detector(f"small:{tmp_path / 'x.pth'}")


def test_training_learns_and_its_weights_load(tmp_path: Path) -> None:
    losses: list[float] = []
    training = Training(num_steps=12, batch_size=2, num_identities=50)
    network = train_small(training, lambda _, loss: losses.append(loss), num_workers=0)
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    save_small(network, tmp_path / "new.safetensors")
    assert load_detector(f"small:{tmp_path / 'new.safetensors'}").fingerprint.startswith("small-")


def test_train_detector_command_writes_a_file(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "detector.safetensors"
    train_detector(out, steps=1, batch_size=1, seed=1)
    first = load_detector(f"small:{out}").fingerprint
    train_detector(out, start=out, steps=1, batch_size=1, seed=2)
    assert load_detector(f"small:{out}").fingerprint != first


def boxes(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners, np.float32).reshape(-1, 4)


def test_overlap_is_intersection_over_union() -> None:
    assert overlaps(boxes((0, 0, 2, 2)), boxes((1, 0, 3, 2), (5, 5, 6, 6))).tolist() == [
        [pytest.approx(1 / 3), 0]
    ]


def test_each_person_is_found_once() -> None:
    people = boxes((0, 0, 10, 10), (20, 0, 30, 10))
    found = boxes((0, 0, 10, 10), (0, 0, 10, 11), (20, 0, 30, 10), (50, 50, 60, 60))
    assert match(found, people, 0.5).tolist() == [True, False, True, False]
    assert match(found, boxes(), 0.5).tolist() == [False] * 4


def test_average_precision_of_a_case_by_hand() -> None:
    """Three people; right, wrong, right by score: precision 1 to recall 1/3, 2/3 to recall 2/3."""
    people = [boxes((0, 0, 10, 10), (20, 0, 30, 10)), boxes((0, 0, 10, 10))]
    found = [
        (boxes((0, 0, 10, 10), (50, 50, 60, 60)), np.array([0.9, 0.8], np.float32)),
        (boxes((0, 0, 10, 10)), np.array([0.4], np.float32)),
    ]
    figures = measure_detections(found, people, min_score=0.5)
    assert figures.average_precision == pytest.approx(1 / 3 + 2 / 3 * 1 / 3)
    assert figures.precision == 0.5
    assert figures.recall == pytest.approx(1 / 3)
    assert figures.num_people == 3
