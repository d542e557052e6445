"""What Milvus is asked and told, in our words.

Shapes: Q queries, F found, U rows, D embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import IndexUnavailable
from indexer.index.lots import draw_lots
from indexer.index.row_block import RowBlock
from indexer.milvus.connection import (
    TIMEOUT_S,
    WRITE_TIMEOUT_S,
    CollectionMissing,
    MilvusConnection,
)
from indexer.milvus.expressions import spell_out
from indexer.milvus.kind import LITE_TYPES, IndexKind
from indexer.milvus.schema import BUILD_TIMEOUT_S, index_collection, make_collection, make_marker

if TYPE_CHECKING:
    from pymilvus import MilvusClient


MOST_ROWS = 16_384  # of one query
_MOST_BYTES = 8 * 2**20  # of vectors in one call
_MOST_BYTES_FOUND = 64 * 2**20  # of vectors in one answer; Milvus gives 100 MiB and no more
_MOST_ROWS_WRITTEN = 1_000  # in one call: it takes 64 MiB, and texts can be 26 KB of a row
_MARKER_ID = 0


@dataclass(frozen=True)
class Candidates:
    """What Milvus found for one query, as it ranks them: ids (F,), its scores (F,), which are
    rounded, and vectors (F, D)."""

    ids_F: NDArray[np.int64]
    scores_F: NDArray[np.float32]
    vectors_FD: NDArray[np.float16]


class MilvusServer(MilvusConnection):
    """Collections, made, filled and searched. Thread-safe. All methods raise IndexUnavailable, and
    CollectionMissing."""

    def __init__(self, uri: str, token: str | None, dim: int, kind: IndexKind) -> None:
        """uri, token: see MilvusConnection. dim: of vectors. kind: of the index on them."""
        super().__init__(uri, token)
        self.dim = dim
        self.kind = kind

    def rounding(self, queries_QD: NDArray[np.floating]) -> float:
        """How far Milvus' score of a unit vector can be from its exact one."""
        summed = self.dim * 2.0**-23  # whatever the order it adds float32 numbers in
        if not self._holds_float16:
            return summed
        exact_QD = queries_QD.astype(np.float32)
        lost_QD = exact_QD - exact_QD.astype(np.float16).astype(np.float32)
        return summed + 1.01 * float(np.linalg.norm(lost_QD, axis=1).max(initial=0.0))

    def list_collections(self) -> list[str]:
        """All names in its database."""
        return list(self.ask(lambda client: client.list_collections(timeout=TIMEOUT_S)))

    def create(self, name: str) -> None:
        """An empty collection, without its indexes."""
        holds_float16 = self._holds_float16
        self.ask(
            lambda client: make_collection(client, name, self.dim, holds_float16=holds_float16)
        )

    def create_if_missing(self, name: str) -> None:
        """An empty collection that can be searched."""
        if name not in self.list_collections():
            self.create(name)
        self.index(name)

    def index(self, name: str) -> None:
        """Make a collection's indexes and load it; returns when it can be searched."""
        self.ask(lambda client: index_collection(client, name, self.kind, is_lite=self.is_lite))

    def load(self, name: str) -> None:
        """Have a collection ready to be searched, as it is no longer where somebody released it."""
        self.ask(lambda client: client.load_collection(name, timeout=BUILD_TIMEOUT_S))

    def flush(self, name: str) -> None:
        """Have what was written sealed, so that it is indexed and not scanned."""
        self.ask(lambda client: client.flush(name, timeout=BUILD_TIMEOUT_S))

    def drop(self, name: str) -> None:
        """A collection, if it is there."""
        with suppress(CollectionMissing):
            self.ask(lambda client: client.drop_collection(name, timeout=WRITE_TIMEOUT_S))

    def upsert(self, name: str, block: RowBlock) -> None:
        """Add rows, in place of those with the same ids."""
        step = max(1, min(_MOST_ROWS_WRITTEN, _MOST_BYTES // (4 * self.dim)))
        for start in range(0, len(block), step):
            part = block.take(np.arange(start, min(start + step, len(block))))
            self._upsert(name, self._rows_of(part))

    def delete(self, name: str, ids: Sequence[int]) -> None:
        """Take images out."""
        if ids:
            wanted = list(ids)
            self.ask(lambda client: client.delete(name, ids=wanted, timeout=WRITE_TIMEOUT_S))

    def count(self, name: str, expression: str = "") -> int:
        """How many rows match."""
        found = self._query(name, expression, ["count(*)"])
        return int(found[0]["count(*)"])

    def search(
        self,
        name: str,
        queries_QD: NDArray[np.floating],
        num: int,
        expression: str,
        **limits: float,
    ) -> list[Candidates]:
        """The best `num` of those that match, for each query. limits: radius, range_filter."""
        step = max(1, _MOST_BYTES_FOUND // (num * 4 * self.dim))
        found: list[Candidates] = []
        for start in range(0, len(queries_QD), step):
            some_QD = queries_QD[start : start + step]
            found += self._search(name, some_QD, num, expression, limits)
        return found

    def _search(
        self,
        name: str,
        queries_QD: NDArray[np.floating],
        num: int,
        expression: str,
        limits: Mapping[str, float],
    ) -> list[Candidates]:
        dtype = np.float16 if self._holds_float16 else np.float32
        queries = [np.ascontiguousarray(query_D, dtype) for query_D in queries_QD]
        params = {**self.kind.search_params(num), **limits}

        def search(client: MilvusClient) -> Any:
            return client.search(
                name,
                queries,
                filter=self._said(expression),
                limit=num,
                output_fields=["vector"],
                anns_field="vector",
                search_params={"metric_type": "IP", "params": params},
                consistency_level="Strong",
                timeout=TIMEOUT_S,
            )

        return [self._candidates(list(hits)) for hits in self.ask(search)]

    def rows(
        self, name: str, expression: str, fields: Sequence[str], most: int = MOST_ROWS
    ) -> list[dict[str, Any]]:
        """Fields of at most so many rows that match, in no order."""
        return self._query(name, expression, list(fields), limit=most)

    def rows_by_id(
        self, name: str, ids: Sequence[int], fields: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Those of these images that it has, by id."""
        found: dict[int, dict[str, Any]] = {}
        step = max(1, min(MOST_ROWS, _MOST_BYTES // (4 * self.dim)))
        for start in range(0, len(ids), step):
            some = ", ".join(map(str, ids[start : start + step]))
            for row in self._query(name, f"id in [{some}]", ["id", *fields]):
                found[row["id"]] = row
        return [found[image_id] for image_id in sorted(found)]

    def all_rows(self, name: str, fields: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        """Every row, a page at a time."""
        pages = self.ask(
            lambda client: client.query_iterator(
                name,
                batch_size=MOST_ROWS // 2,
                filter="",
                output_fields=list(fields),
                consistency_level="Strong",
                timeout=TIMEOUT_S,
            )
        )
        try:
            while page := self.ask(lambda _: pages.next()):
                yield list(page)
        finally:
            self.ask(lambda _: pages.close())

    def vectors_of(self, rows: Sequence[dict[str, Any]]) -> NDArray[np.float16]:
        """The vectors (F, D) that came with rows."""
        if not rows:
            return np.empty((0, self.dim), np.float16)
        return np.stack([_to_float16(row["vector"]) for row in rows])

    def write_marker(self, name: str, seq: int, committed_at: int) -> None:
        """Leave word in Milvus itself of the last change that may be in a set of collections.
        committed_at: in microseconds."""
        row = {"id": _MARKER_ID, "vector": [0.0, 1.0], "seq": seq, "committed_at": committed_at}
        self._upsert(name, [row])

    def create_marker(self, name: str) -> None:
        """Where that word is left."""
        self.ask(lambda client: make_marker(client, name))

    def read_marker(self, name: str) -> tuple[int, int] | None:
        """What was left; None where there is nothing."""
        try:
            found = self._query(name, f"id == {_MARKER_ID}", ["seq", "committed_at"])
        except CollectionMissing:
            return None
        return (found[0]["seq"], found[0]["committed_at"]) if found else None

    @property
    def _holds_float16(self) -> bool:
        """Lite has no such vectors; of GPU indexes not all do."""
        self.reach()
        return not self.is_lite and not self.kind.on_gpu

    def _check(self) -> None:
        if self.is_lite and self.kind.type not in LITE_TYPES:
            raise IndexUnavailable(
                f"Milvus Lite at {self.place} has no index type {self.kind.type}: use one of "
                f"{', '.join(sorted(LITE_TYPES))}"
            )

    def _upsert(self, name: str, rows: list[dict[str, Any]]) -> None:
        self.ask(lambda client: client.upsert(name, rows, timeout=WRITE_TIMEOUT_S))

    def _rows_of(self, block: RowBlock) -> list[dict[str, Any]]:
        vectors_UD = block.vectors_UD
        if not self._holds_float16:
            vectors_UD = vectors_UD.astype(np.float32)
        lots_U = draw_lots(block.ids_U)
        return [
            {
                "id": int(block.ids_U[place]),
                "vector": vectors_UD[place],
                "camera": block.cameras[place] or "",  # no camera is called that
                "captured_at": int(block.captured_U[place]),
                "tags": sorted(block.tags[place]),
                "added": int(block.seqs_U[place]),
                "lot": int(lots_U[place]),
            }
            for place in range(len(block))
        ]

    def _said(self, expression: str) -> str:
        return expression if self.is_lite else spell_out(expression)

    def _candidates(self, hits: Sequence[Any]) -> Candidates:
        ids_F = np.array([hit["id"] for hit in hits], np.int64)
        scores_F = np.array([hit["distance"] for hit in hits], np.float32)
        vectors_FD = self.vectors_of([hit["entity"] for hit in hits])
        _, first = np.unique(ids_F, return_index=True)
        first.sort()  # while a row is being replaced it may come twice
        return Candidates(ids_F[first], scores_F[first], vectors_FD[first])

    def _query(
        self, name: str, expression: str, fields: list[str], **given: int
    ) -> list[dict[str, Any]]:
        return list(
            self.ask(
                lambda client: client.query(
                    name,
                    filter=self._said(expression),
                    output_fields=fields,
                    consistency_level="Strong",
                    timeout=TIMEOUT_S,
                    **given,
                )
            )
        )


def _to_float16(vector: Any) -> NDArray[np.float16]:
    if isinstance(vector, list) and len(vector) == 1 and isinstance(vector[0], bytes):
        vector = vector[0]  # so the client has them of a query, and of a search bare
    if isinstance(vector, bytes):
        return np.frombuffer(vector, "<f2")
    return np.asarray(vector, np.float16)
