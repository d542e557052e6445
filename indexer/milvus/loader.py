"""Fills new collections with all rows of a model, a page at a time.

Each page is of its own moment, so nothing is held up in the database while it takes hours. Changes
that come meanwhile are applied after it, from the one before it on: what they say of rows that are
there already is so twice. A loader that is killed is followed by another, from its last page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from indexer.change_log import ChangeLog
from indexer.index.columns import to_microseconds
from indexer.index.row_reader import Additions
from indexer.milvus.position import Position, name_of
from indexer.milvus.positions import IndexPositions
from indexer.milvus.server import MilvusServer

_PAGE_ROWS = 4_000

log = logging.getLogger(__name__)


class Loader:
    """For one model. Methods raise IndexUnavailable, PositionLost, DatabaseUnavailable."""

    def __init__(
        self,
        changes: ChangeLog,
        server: MilvusServer,
        positions: IndexPositions,
        model: str,
        on_moved: Callable[[], None],
    ) -> None:
        """on_moved: called after each page."""
        self._changes = changes
        self._server = server
        self._positions = positions
        self._model = model
        self._on_moved = on_moved

    def load(self, token: str, position: Position) -> Position:
        """Into new collections; the old ones are dropped. The position that they have."""
        last, largest = self._changes.begin_paging()
        kind = self._server.kind.describe()
        position = self._positions.begin(token, position.stem, kind, last, largest)
        return self.go_on(token, position)

    def go_on(self, token: str, position: Position) -> Position:
        """From where a loader was."""
        assert position.prefix is not None
        self._positions.renew(token)
        there = {
            name for name in self._server.list_collections() if name.startswith(f"{position.stem}_")
        }
        filled = {name for name in there if name.startswith(f"{position.prefix}_")}
        if position.loaded_to and position.prefix not in there:
            log.warning("Milvus lost what it was filled with; building the index anew")
            return self.load(token, position)
        with self._positions.holding(token):
            for name in there - filled:  # the marker may be half made
                self._server.drop(name)
        self._server.create_marker(position.prefix)
        self._server.write_marker(
            position.prefix, position.seq, to_microseconds(position.committed_at)
        )
        additions = Additions(self._model)
        after_id: int | None = position.loaded_to
        while after_id is not None:
            blocks, after_id = self._changes.page_of_rows(additions, after_id, _PAGE_ROWS)
            for gallery_id, block in blocks:
                self._positions.renew(token)
                name = name_of(position, gallery_id)
                if name not in filled:
                    self._server.create(name)
                    filled.add(name)
                self._server.upsert(name, block)
            if after_id is not None:
                self._positions.note_loaded(token, after_id)
                self._on_moved()
        return self._finish(token, position, sorted(filled))

    def _finish(self, token: str, position: Position, names: list[str]) -> Position:
        sizes: dict[int, int] = {}
        with self._positions.holding(token):
            for name in names:
                self._server.flush(name)
                self._server.index(name)
                sizes[int(name.rpartition("_")[2])] = self._server.count(name)
        finished = self._positions.finish(token, sizes)
        log.info("the index in Milvus is built: %d rows", sum(sizes.values()))
        return finished
