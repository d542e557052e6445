"""Weight files are data: nothing in them runs, whatever they ask for."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model import load_encoder
from model.checkpoint_import import import_checkpoint
from model.errors import CheckpointError
from model.foreign.weight_file import read_weight_file


class Bomb:
    """Makes a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


def save_as_zip(content: object, path: Path) -> None:
    torch.save(content, path)


def save_as_legacy(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_as_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def save_as_archive(content: object, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))
        archive.writestr("archive/constants.pkl", pickle.dumps((), protocol=2))


@pytest.mark.parametrize("save", [save_as_zip, save_as_legacy, save_as_pickle, save_as_archive])
@pytest.mark.parametrize("wrap", [lambda bomb: bomb, lambda bomb: {"model": {}, "epoch": bomb}])
def test_malicious_pickle_never_runs(
    tmp_path: Path, save: Callable[[object, Path], None], wrap: Callable[[Bomb], object]
) -> None:
    target = tmp_path / "exploded"
    content = wrap(Bomb(target))
    pickle.load(io.BytesIO(pickle.dumps(content)))
    assert target.exists()  # it would, anywhere else
    target.rmdir()
    path = tmp_path / "best.pth"
    save(content, path)
    for load in (
        lambda: import_checkpoint(path, tmp_path / "out"),
        lambda: load_encoder(f"file:{path}"),
    ):
        with pytest.raises(CheckpointError, match=r"asks to run (posix|nt|os)\.mkdir") as caught:
            load()
        assert "\n" not in str(caught.value)
    assert not target.exists()
    assert not (tmp_path / "out").exists()


class Storage:
    """Pickled as TorchScript pickles a storage: by reference."""

    def __init__(self, count: int) -> None:
        self.reference = ("storage", torch.FloatStorage, "0", "cpu", count)


def rebuild(size: tuple[int, ...], storage: Storage) -> object:
    """Pickled as TorchScript pickles a tensor."""

    class Rebuilt:
        def __reduce__(self) -> tuple[object, ...]:
            function = torch._utils._rebuild_tensor_v2
            stride = tuple(0 for _ in size)
            return function, (storage, 0, size, stride, False, OrderedDict())

    return Rebuilt()


def save_tensor_archive(path: Path, size: tuple[int, ...], count: int, num_bytes: int) -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            return value.reference if isinstance(value, Storage) else None

    content = io.BytesIO()
    Pickler(content, protocol=2).dump(rebuild(size, Storage(count)))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", content.getvalue())
        archive.writestr("a/constants.pkl", b"")
        archive.writestr("a/data/0", bytes(num_bytes))


@pytest.mark.parametrize(
    ("size", "count", "message"),
    [
        ((2, 2), 4, "it holds a Tensor, not a module"),
        ((1000, 1000), 4, r"size \(1000, 1000\) in 4 elements"),  # 4 MB out of 16 bytes
        ((2, 2), 9, "storage 0: expected 9 of 4 bytes, got 16"),
    ],
)
def test_archive_of_impossible_tensors_is_refused(
    tmp_path: Path, size: tuple[int, ...], count: int, message: str
) -> None:
    path = tmp_path / "a.pt"
    save_tensor_archive(path, size, count, num_bytes=16)
    with pytest.raises(CheckpointError, match=f"not readable as weights: .*{message}"):
        read_weight_file(path)


def test_archive_that_would_swell_in_memory_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**6))
        archive.writestr("a/constants.pkl", b"")
    with pytest.raises(CheckpointError, match=r"a/data\.pkl is compressed, which torch never does"):
        read_weight_file(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "expected a state dict, got list"),
        (torch.zeros(1), "expected a state dict, got Tensor"),
    ],
)
def test_file_without_names_is_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=message):
        read_weight_file(tmp_path / "a.pt")
