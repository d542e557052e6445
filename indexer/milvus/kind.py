"""How a collection is indexed: Milvus' index types, what they are built and searched with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

IndexType = Literal[
    "FLAT",
    "HNSW",
    "IVF_FLAT",
    "IVF_SQ8",
    "SCANN",
    "DISKANN",
    "AUTOINDEX",
    "GPU_BRUTE_FORCE",
    "GPU_IVF_FLAT",
    "GPU_CAGRA",
]
LITE_TYPES = frozenset({"FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8", "AUTOINDEX"})
"""Those that Milvus Lite builds; it takes any name, and then fails in a thread of its own."""

_EXACT = frozenset({"FLAT", "GPU_BRUTE_FORCE"})
_MOST_HITS = 16_384  # Milvus' own limit
_MOST_HITS_GPU = 1_024
_BUILD: dict[str, dict[str, Any]] = {
    "HNSW": {"M": 32, "efConstruction": 256},
    "IVF_FLAT": {"nlist": 1_024},
    "IVF_SQ8": {"nlist": 1_024},
    "SCANN": {"nlist": 1_024, "with_raw_data": True},
    "GPU_IVF_FLAT": {"nlist": 1_024},
    "GPU_CAGRA": {
        "intermediate_graph_degree": 128,
        "graph_degree": 64,
        "cache_dataset_on_device": "true",
    },
}
_SEARCH: dict[str, dict[str, Any]] = {
    "HNSW": {"ef": 256},
    "IVF_FLAT": {"nprobe": 64},
    "IVF_SQ8": {"nprobe": 64},
    "SCANN": {"nprobe": 64, "reorder_k": 512},
    "DISKANN": {"search_list": 256},
    "GPU_IVF_FLAT": {"nprobe": 64},
    "GPU_CAGRA": {"itopk_size": 256, "search_width": 4},
}
_AT_LEAST_AS_MANY = ("ef", "reorder_k", "search_list", "itopk_size")
"""Search parameters that must not be smaller than the number of hits asked for."""


@dataclass(frozen=True)
class IndexKind:
    """An index type and its parameters. build, search: in place of those chosen here."""

    type: IndexType = "FLAT"
    build: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.type not in get_args(IndexType):
            known = ", ".join(get_args(IndexType))
            raise ValueError(f"index type {self.type!r} is not one of {known}")

    @property
    def is_exact(self) -> bool:
        """Whether it always finds the best."""
        return self.type in _EXACT

    @property
    def on_gpu(self) -> bool:
        """Whether the database searches it on a GPU."""
        return self.type.startswith("GPU_")

    @property
    def most_hits(self) -> int:
        """Of one search."""
        return _MOST_HITS_GPU if self.on_gpu else _MOST_HITS

    @property
    def build_params(self) -> dict[str, Any]:
        """What the index is made with."""
        return {**_BUILD.get(self.type, {}), **self.build}

    def search_params(self, num_hits: int) -> dict[str, Any]:
        """What a search for so many hits is made with."""
        params = {**_SEARCH.get(self.type, {}), **self.search}
        for name in _AT_LEAST_AS_MANY:
            if name in params:
                # In 32s, as GPU_CAGRA wants it.
                params[name] = max(int(params[name]), -(-num_hits // 32) * 32)
        return params

    def describe(self) -> str:
        """What must stay the same for a collection to stay as it is."""
        return json.dumps({"type": self.type, **self.build_params}, sort_keys=True)
