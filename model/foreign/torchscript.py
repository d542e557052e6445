"""The tensors of a TorchScript archive, as OpenAI publishes CLIP, read as plain data.

`torch.jit.load` would compile and run what the archive brings along. Here nothing of the archive
is trusted: its `code/` is never opened, and its `data.pkl` is read by an unpickler that knows
five kinds of names, each of which makes an inert value. Whatever else a pickle asks for is refused
before it is looked up. What is trusted is this module, zipfile, pickle's own machine, and torch's
view of a buffer.
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor

DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


class _Module:
    """Stands for a TorchScript module: its attributes, and nothing that runs."""

    attributes: Mapping[str, object] = MappingProxyType({})

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"a module's state is a {type(state).__name__}")
        self.attributes = state


class _StorageType(str):
    """The name of a storage's type; stands for torch's class of that name."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(_read_stored(archive, f"{root}/data.pkl")))
        self._archive = archive
        self._root = root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> object:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name in DTYPES:
            return _StorageType(name)
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view_storage
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch.jit._pickle" and name.startswith("build_") and name.endswith("list"):
            return list
        raise pickle.UnpicklingError(f"it asks to run {module}.{name}, which no weights need")

    def persistent_load(self, pid: object) -> Tensor:
        """('storage', type, key, device, number of elements) -> the elements, flat."""
        match pid:
            case ("storage", _StorageType() as kind, str() as key, str(), int() as count):
                pass
            case _:
                raise pickle.UnpicklingError(f"a storage is described by {pid!r}")
        if key not in self._storages:
            content = bytearray(_read_stored(self._archive, f"{self._root}/data/{key}"))
            dtype = DTYPES[kind]
            if len(content) != count * dtype.itemsize:
                raise pickle.UnpicklingError(
                    f"storage {key}: expected {count} of {dtype.itemsize} bytes, got {len(content)}"
                )
            flat = (
                torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
            )
            self._storages[key] = flat
        return self._storages[key]


def _read_stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """An entry as it lies in the file, so that no archive is larger in memory than on disk."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise pickle.UnpicklingError(f"{name} is compressed, which torch never does")
    return archive.read(name)


def _view_storage(
    flat: object, offset: object, size: object, stride: object, *_unused: object
) -> Tensor:
    """A tensor of this size within a storage; never more elements than the storage has."""
    if not isinstance(flat, Tensor) or not isinstance(offset, int):
        raise pickle.UnpicklingError("a tensor without a storage")
    size, stride = _as_ints(size), _as_ints(stride)
    if math.prod(size) > len(flat):
        raise pickle.UnpicklingError(f"a tensor of size {size} in {len(flat)} elements")
    return torch.as_strided(flat, size, stride, offset)


def _as_ints(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(isinstance(value, int) for value in values):
        raise pickle.UnpicklingError(f"a tensor's size is {values!r}")
    return cast("tuple[int, ...]", values)


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive, by the names within."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _find_root(archive) is not None


def _find_root(archive: zipfile.ZipFile) -> str | None:
    """The archive's one folder; only TorchScript has constants beside its data."""
    names = set(archive.namelist())
    roots = {name.split("/")[0] for name in names}
    if len(roots) != 1:
        return None
    root = roots.pop()
    return root if {f"{root}/data.pkl", f"{root}/constants.pkl"} <= names else None


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Every tensor of the archive by its dotted name, parameters and buffers alike, on the CPU.

    Raises UnpicklingError, KeyError or ValueError where the archive is not what it should be.
    """
    with zipfile.ZipFile(path) as archive:
        root = _find_root(archive)
        if root is None:
            raise ValueError("no TorchScript archive")
        order = f"{root}/byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("its bytes are in big-endian order")
        module = _Unpickler(archive, root).load()
    if not isinstance(module, _Module):
        raise ValueError(f"it holds a {type(module).__name__}, not a module")
    return dict(_walk(module, "", set()))


def _walk(module: _Module, prefix: str, above: set[int]) -> Iterator[tuple[str, Tensor]]:
    if id(module) in above:
        raise ValueError(f"{prefix or 'module'} contains itself")
    for name, value in module.attributes.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Module):
            yield from _walk(value, f"{prefix}{name}.", above | {id(module)})
