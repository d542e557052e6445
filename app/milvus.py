"""The Milvus that the settings name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from app.errors import CommandError
from app.settings import Settings
from indexer.milvus.kind import IndexKind
from indexer.milvus.server import MilvusServer


def find_milvus(settings: Settings, dim: int) -> MilvusServer | None:
    """None where none is named; dim: of the vectors. Nothing is opened yet.

    Raises CommandError where what it takes is not installed.
    """
    uri = settings.milvus_uri
    if uri is None:
        return None
    needed = ["pymilvus"] if uri.startswith("http") else ["pymilvus", "milvus_lite"]
    for module in needed:
        if find_spec(module) is None:
            package = module.replace("_", "-")
            raise CommandError(f"PASSERBY_MILVUS_URI needs {package}: pip install {package}")
    if not uri.startswith("http"):
        if settings.processes > 1:
            raise CommandError(
                f"PASSERBY_MILVUS_URI: a file is one process's alone, and PASSERBY_PROCESSES is "
                f"{settings.processes}: name a Milvus at an address"
            )
        uri = str(Path(uri).absolute())
        if not Path(uri).parent.is_dir():
            raise CommandError(f"PASSERBY_MILVUS_URI: there is no folder {Path(uri).parent}")
    token = settings.milvus_token
    kind = IndexKind(
        settings.milvus_index, settings.milvus_build_params, settings.milvus_search_params
    )
    return MilvusServer(uri, None if token is None else token.get_secret_value(), dim, kind)
