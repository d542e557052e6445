"""Compares storage with the catalogue: bytes that no row owns, and rows whose bytes are missing.

It goes through the hashes in 256 parts, by their first two digits, so that it needs little memory
and can be done a part at a time. Nothing is removed here: a stray hash goes on the list of orphans,
and deletion.sweep looks again, under the hash's lock, once the grace is over. So an upload whose
bytes are stored and whose row is not committed yet loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import exists, select

from indexer.catalogue import Catalogue
from indexer.erasure.orphan_list import OWNERS
from indexer.storage.object_store import ObjectStore

PREFIXES = tuple(f"{number:02x}" for number in range(256))
_GRACE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Part:
    """The hashes that begin with two digits. stored: how many have bytes.

    stray: those that no row owns. missing: those that rows own and that have no bytes.
    """

    stored: int
    stray: frozenset[str]
    missing: frozenset[str]


def is_another_storage(catalogue: Catalogue, store: ObjectStore) -> bool:
    """Whether the catalogue has pictures and storage has nothing: as where no volume is mounted.

    What believed it would give pictures up, and know of no erasure.
    """
    with catalogue.database.read() as connection:
        has_some = [connection.scalar(select(exists(select(column)))) for column in OWNERS]
    return any(has_some) and store.is_empty()


def survey(
    catalogue: Catalogue, store: ObjectStore, prefixes: Sequence[str] = PREFIXES
) -> Iterator[Part]:
    """Part by part. Raises StorageUnavailable, DatabaseUnavailable."""
    for prefix in prefixes:
        # Storage first: what is uploaded after this look can only seem missing, and is asked for.
        stored = store.hashes(prefix)
        owned = catalogue.holdings.hashes(prefix)
        missing = [sha256 for sha256 in owned - stored if not store.exists(sha256)]
        yield Part(
            stored=len(stored),
            stray=frozenset(stored - owned),
            missing=frozenset(catalogue.holdings.owned(missing)),
        )


def adopt_strays(
    catalogue: Catalogue, store: ObjectStore, prefixes: Sequence[str] = PREFIXES
) -> Iterator[Part]:
    """As survey, and each part's stray hashes are put on the list of orphans."""
    for part in survey(catalogue, store, prefixes):
        if part.stray:
            catalogue.orphans.adopt(part.stray, _GRACE_S)
        yield part
