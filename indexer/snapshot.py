"""The live index on disk: one file a generation, never half-written, never believed unchecked.

A file is named SEQ-DIGEST.snapshot, DIGEST being the start of its own SHA-256, and holds a NumPy
archive. It is only a shortcut: the database has everything that is in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
import zipfile
import zlib
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.change_log import Change
from indexer.errors import SnapshotInvalid
from indexer.gallery_view import GalleryView

_FORMAT = 2  # 1 did not tell when rows were added
_SUFFIX = ".snapshot"
_GENERATIONS = 2
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the index just after `applied`. packed: see GalleryView.pack, by gallery id."""

    model: str
    dim: int
    applied: Change
    packed: dict[int, tuple[dict[str, Any], dict[str, NDArray[Any]]]]


def write(folder: Path, snapshot: Snapshot) -> Path:
    """Make a new generation, durable under its final name, and drop those before the last two.

    Raises OSError; nothing under a final name has changed then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{uuid.uuid4().hex}.partial"
    try:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **_to_arrays(snapshot))
            file.flush()
            os.fsync(file.fileno())
        final = folder / f"{snapshot.applied.seq:020d}-{_digest(partial)}{_SUFFIX}"
        partial.rename(final)
        _sync_folder(folder)
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
        if _digest(path) != path.stem.partition("-")[2]:
            raise SnapshotInvalid(f"snapshot {path}: its checksum is not the one in its name")
        with np.load(path, allow_pickle=False) as archive:
            header = json.loads(archive["header"].tobytes())
            found = (header["format"], header["model"], header["dim"])
            if found != (_FORMAT, model, dim):
                raise SnapshotInvalid(
                    f"snapshot {path}: its format, model and size are {found}, "
                    f"expected {(_FORMAT, model, dim)}"
                )
            views = {
                int(key): GalleryView.unpack(dim, known, _arrays_of(archive, key))
                for key, known in header["galleries"].items()
            }
    except _UNREADABLE as error:
        raise SnapshotInvalid(f"snapshot {path}: {error}") from error
    applied = header["applied"]
    applied["committed_at"] = datetime.fromisoformat(applied["committed_at"])
    return Change(**applied), views


def holds(path: Path, image_id: int) -> bool:
    """Whether a generation has this image's vector. Raises SnapshotInvalid for a damaged one."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return any(image_id in archive[name] for name in archive.files if name.endswith(".ids"))
    except _UNREADABLE as error:
        raise SnapshotInvalid(f"snapshot {path}: {error}") from error


def _to_arrays(snapshot: Snapshot) -> dict[str, NDArray[Any]]:
    header = {
        "format": _FORMAT,
        "model": snapshot.model,
        "dim": snapshot.dim,
        "applied": {
            **asdict(snapshot.applied),
            "committed_at": snapshot.applied.committed_at.isoformat(),
        },
        "galleries": {str(key): known for key, (known, _) in snapshot.packed.items()},
    }
    arrays: dict[str, NDArray[Any]] = {
        "header": np.frombuffer(json.dumps(header).encode(), np.uint8)
    }
    for key, (_, columns) in snapshot.packed.items():
        arrays |= {f"{key}.{name}": column for name, column in columns.items()}
    return arrays


def _arrays_of(archive: Any, key: str) -> dict[str, NDArray[Any]]:
    prefix = f"{key}."
    return {
        name.removeprefix(prefix): archive[name]
        for name in archive.files
        if name.startswith(prefix)
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _drop_old(folder: Path) -> None:
    """Other processes may do the same at this moment."""
    for path in generations(folder)[_GENERATIONS:]:
        path.unlink(missing_ok=True)
