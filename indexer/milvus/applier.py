"""Brings Milvus to what the database says: change by change, or all of it into new collections.

Everything written may be written twice. U rows, D embedding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from indexer.catalogue import Catalogue
from indexer.change_log import Change, IndexRow, sum_up
from indexer.errors import IndexerError
from indexer.index.columns import to_microseconds
from indexer.index.row_block import RowBlock
from indexer.milvus.loader import Loader
from indexer.milvus.position import Position, name_of
from indexer.milvus.positions import IndexPositions
from indexer.milvus.server import MilvusServer

_PAGE = 1_000  # changes applied at a time

log = logging.getLogger(__name__)


class Applier:
    """For one model. At any time one of all processes has its turn."""

    def __init__(
        self,
        catalogue: Catalogue,
        server: MilvusServer,
        positions: IndexPositions,
        model: str,
        on_other_past: Callable[[], object] | None,
        on_moved: Callable[[], None],
    ) -> None:
        """on_other_past: called before the index is built anew from a database that is not what
        it was. on_moved: after each page; what it raises ends the turn."""
        self._changes = catalogue.changes
        self._server = server
        self._positions = positions
        self._model = model
        self._on_other_past = on_other_past
        self._on_moved = on_moved
        self._loader = Loader(self._changes, server, positions, model, on_moved)
        self._may_convert = True  # at first, so that two with other settings don't take turns at it

    def turn(self, *, is_suspect: bool) -> bool:
        """Apply everything that is committed; whether it was this one's turn.

        is_suspect: collections may be missing, or not loaded, as after Milvus was away.

        Raises IndexUnavailable, PositionLost, DatabaseUnavailable, and what on_other_past does.
        """
        claimed = self._positions.claim()
        if claimed is None:
            return False
        token, position = claimed
        try:
            position = self._verify(token, position, is_suspect=is_suspect)
            more = True
            while more:
                position, more = self._apply_page(token, position)
            due = self._positions.due_again()
            if due is not None:
                self._apply_again(token, position, *due)
        finally:
            with suppress(IndexerError):  # it ends by itself
                self._positions.release(token)
        self._may_convert = False
        return True

    def _verify(self, token: str, position: Position, *, is_suspect: bool) -> Position:
        """Whether what Milvus has is of this database's past; else it is built anew."""
        kind = self._server.kind.describe()
        if position.prefix is None:
            return self._loader.load(token, position)
        if self._may_convert and position.kind != kind:
            log.info("the index changes from %s to %s", position.kind, kind)
            return self._loader.load(token, position)
        if position.is_loading:
            return self._loader.go_on(token, position)
        is_whole = not is_suspect or self._load_all(token, position)
        if not is_whole or not self._is_of_this_past(position):
            return self._rebuild(token, position)
        return position

    def _load_all(self, token: str, position: Position) -> bool:
        """Whether all collections are there; they are loaded then."""
        there = set(self._server.list_collections())
        names = [name_of(position, gallery_id) for gallery_id in self._positions.sizes()]
        names.append(str(position.prefix))
        if not there.issuperset(names):
            return False
        with self._positions.holding(token):
            for name in names:
                self._server.load(name)
        return True

    def _is_of_this_past(self, position: Position) -> bool:
        """It is not where Milvus was wiped, or where a backup of the database was restored that is
        older than what Milvus has."""
        assert position.prefix is not None
        marker = self._server.read_marker(position.prefix)
        if marker is None:
            return False
        seq, committed_at = marker
        change = self._changes.at(seq) if seq else None
        is_known = change is not None and to_microseconds(change.committed_at) == committed_at
        return not seq or is_known or (change is None and seq <= position.seq)  # pruned

    def _rebuild(self, token: str, position: Position) -> Position:
        log.warning("the catalogue's past is not what Milvus has; building the index anew")
        if self._on_other_past is not None:
            self._on_other_past()
        return self._loader.load(token, position)

    def _apply_page(self, token: str, position: Position) -> tuple[Position, bool]:
        """Apply the next changes; the new position, and whether there may be more."""
        found, rows = self._changes.page(self._model, max(position.seq, 1), _PAGE + 1)
        if not _continues(position, found):
            return self._rebuild(token, position), True
        fresh = found[1:] if position.seq else found
        if not fresh:
            return position, False
        sizes = self._write(token, position, fresh, rows)
        self._positions.move(token, fresh[-1], sizes)
        self._on_moved()
        moved = replace(position, seq=fresh[-1].seq, committed_at=fresh[-1].committed_at)
        return moved, len(found) > _PAGE

    def _write(
        self,
        token: str,
        position: Position,
        fresh: Sequence[Change],
        rows: Mapping[int, IndexRow],
    ) -> dict[int, int]:
        """Put a page of changes into Milvus; the sizes of the collections that it was about."""
        dropped, after = sum_up(fresh, rows)
        if not dropped and not after:
            return {}
        assert position.prefix is not None
        self._positions.take_in_hand(token, fresh[-1].seq, dropped)
        self._server.write_marker(
            position.prefix, fresh[-1].seq, to_microseconds(fresh[-1].committed_at)
        )
        for gallery_id in dropped:
            self._positions.renew(token)
            self._server.drop(name_of(position, gallery_id))
        sizes: dict[int, int] = {}
        known = self._positions.sizes()
        for gallery_id, images in after.items():
            gone = [image_id for image_id, row in images.items() if row is None]
            added = list(filter(None, images.values()))
            if added and gallery_id not in known:
                with self._positions.holding(token):
                    self._server.create_if_missing(name_of(position, gallery_id))
            elif gallery_id not in known:
                continue
            self._positions.renew(token)  # each takes its time, and nobody writes without it
            sizes[gallery_id] = self._put(name_of(position, gallery_id), gone, added)
        return sizes

    def _put(self, name: str, gone: Sequence[int], added: Sequence[IndexRow]) -> int:
        """Into a collection; its size."""
        if added:
            self._server.upsert(name, self._aged(name, added))
        self._server.delete(name, gone)
        return self._server.count(name)

    def _aged(self, name: str, rows: Sequence[IndexRow]) -> RowBlock:
        """The rows; one that comes again with the vector that it had is as old as it was, see
        GalleryView.update."""
        block = RowBlock.of(rows, len(rows[0].vector_D))
        held = self._server.rows_by_id(name, block.ids_U.tolist(), ["added", "vector"])
        held_ND = self._server.vectors_of(held)
        held_ids = np.array([row["id"] for row in held], np.int64)
        _, old, new = np.intersect1d(held_ids, block.ids_U, return_indices=True)
        same = (held_ND[old] == block.vectors_UD[new]).all(axis=1)
        seqs_U = block.seqs_U.copy()
        seqs_U[new[same]] = np.array([row["added"] for row in held], np.int64)[old[same]]
        return replace(block, seqs_U=seqs_U)

    def _apply_again(self, token: str, position: Position, first: int, last: int) -> None:
        """What somebody may have written late is written over with what is so now."""
        last = min(last, position.seq)  # all beyond it is still to be applied
        sizes = self._positions.sizes()
        there = set(self._server.list_collections())
        for start in range(first, last + 1, _PAGE):
            found, _ = self._changes.page(self._model, start, min(_PAGE, last + 1 - start))
            for gallery_id in {change.gallery_id for change in found}:
                self._positions.renew(token)
                name = name_of(position, gallery_id)
                if gallery_id in sizes:
                    seqs = {
                        change.image_id: change.seq
                        for change in found
                        if change.gallery_id == gallery_id and change.image_id is not None
                    }
                    sizes[gallery_id] = self._put_as_now(name, seqs)
                elif name in there:
                    self._server.drop(name)
        self._positions.settle(token, sizes)

    def _put_as_now(self, name: str, seqs: Mapping[int, int]) -> int:
        rows = self._changes.rows_now(self._model, seqs)
        return self._put(name, [image for image in seqs if image not in rows], list(rows.values()))


def _continues(position: Position, found: Sequence[Change]) -> bool:
    """Whether these changes, from the position's on, follow on it; see LiveIndex."""
    if not position.seq:
        return not found or found[0].seq == 1
    if not found or found[0].seq != position.seq:
        return False
    return found[0].committed_at == position.committed_at
