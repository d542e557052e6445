"""The live index on disk: one file a generation, never half-written, never believed unchecked.

A file is named SEQ-DIGEST.snapshot, DIGEST being the start of its digest, see snapshot_file.py. It
is only a shortcut: the database has everything that is in it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from indexer.change_log import Change
from indexer.errors import SnapshotInvalid
from indexer.index import snapshot_file
from indexer.index.gallery_view import GalleryView
from indexer.index.snapshot_file import Damaged, SnapshotFile
from indexer.index.stored_arrays import StoredArrays
from indexer.storage.durable import sync

_FORMAT = 3  # 1 did not tell when rows were added; 2 was a NumPy archive
_SUFFIX = ".snapshot"
_GENERATIONS = 2
_DIGEST_CHARS = 32
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, AssertionError, RuntimeError)
"""RuntimeError: what FAISS says of codes that another of its versions wrote."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The index just after `applied`. packed: see GalleryView.pack, by gallery id. hold: keeps the
    arrays in it still while a piece of one is copied."""

    model: str
    dim: int
    applied: Change
    packed: dict[int, tuple[dict[str, Any], StoredArrays]]
    hold: Callable[[], AbstractContextManager[object]] = nullcontext


def write(folder: Path, snapshot: Snapshot) -> Path:
    """Make a new generation, durable under its final name, and drop those before the last two.

    Raises OSError; nothing under a final name has changed then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{uuid.uuid4().hex}.partial"
    try:
        with partial.open("wb") as file:
            arrays = {
                f"{key}.{name}": array
                for key, (_, packed) in snapshot.packed.items()
                for name, array in packed.items()
            }
            digest = snapshot_file.write(file, _header(snapshot), arrays, snapshot.hold)
            file.flush()
            os.fsync(file.fileno())
        final = folder / f"{snapshot.applied.seq:020d}-{digest[:_DIGEST_CHARS]}{_SUFFIX}"
        partial.rename(final)
        sync(folder)
    finally:
        partial.unlink(missing_ok=True)
    _drop_old(folder)
    return final


def generations(folder: Path) -> list[Path]:
    """Snapshot files, newest first."""
    return sorted(folder.glob(f"*{_SUFFIX}"), reverse=True)


def seq_of(path: Path) -> int:
    """The last change in a generation, by its name; -1 for a file that has no such name."""
    seq = path.name.partition("-")[0]
    return int(seq) if seq.isdecimal() else -1


def load(path: Path, model: str, dim: int) -> tuple[Change, dict[int, GalleryView]]:
    """The index just after the change that is returned with it.

    Raises SnapshotInvalid for a file that is damaged, gone, or not of this model.
    """
    try:
        with SnapshotFile(path) as file:
            header = file.header
            found = (header["format"], header["model"], header["dim"])
            if found != (_FORMAT, model, dim):
                raise SnapshotInvalid(
                    f"snapshot {path}: its format, model and size are {found}, "
                    f"expected {(_FORMAT, model, dim)}"
                )
            unpacked = {
                int(key): GalleryView.unpack(dim, known, _arrays_of(file, key))
                for key, known in header["galleries"].items()
            }
            if file.check()[:_DIGEST_CHARS] != path.stem.partition("-")[2]:
                raise Damaged("its checksum is not the one in its name")
        for _, complete in unpacked.values():
            complete()
    except _UNREADABLE as error:
        raise SnapshotInvalid(f"snapshot {path}: {error}") from error
    applied = header["applied"]
    applied["committed_at"] = datetime.fromisoformat(applied["committed_at"])
    return Change(**applied), {key: view for key, (view, _) in unpacked.items()}


def holds(path: Path, image_id: int) -> bool:
    """Whether a generation has this image's vector. Raises SnapshotInvalid for a damaged one."""
    try:
        with SnapshotFile(path) as file:
            for name, array in file.arrays.items():
                if name.endswith(".ids"):
                    ids_N = np.empty(array.shape, array.dtype)
                    array.copy_to(ids_N)
                    if image_id in ids_N:
                        return True
    except _UNREADABLE as error:
        raise SnapshotInvalid(f"snapshot {path}: {error}") from error
    return False


def _header(snapshot: Snapshot) -> dict[str, Any]:
    committed_at = snapshot.applied.committed_at.isoformat()
    return {
        "format": _FORMAT,
        "model": snapshot.model,
        "dim": snapshot.dim,
        "applied": {**asdict(snapshot.applied), "committed_at": committed_at},
        "galleries": {str(key): known for key, (known, _) in snapshot.packed.items()},
    }


def _arrays_of(file: SnapshotFile, key: str) -> StoredArrays:
    prefix = f"{key}."
    return {
        name.removeprefix(prefix): array
        for name, array in file.arrays.items()
        if name.startswith(prefix)
    }


def _drop_old(folder: Path) -> None:
    """Other processes may do the same at this moment."""
    for path in generations(folder)[_GENERATIONS:]:
        path.unlink(missing_ok=True)
