"""10,000 broken pictures: no crash, each ends with a stable code, memory is bounded.

SOAK_SEED=0 SOAK_BROKEN=10000
"""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

from indexer.catalogue import Catalogue
from indexer.storage.object_store import ObjectStore
from tests.indexer.fuzzing import embed_all, fuzz
from tests.soak.options import SEED, show

pytestmark = pytest.mark.timeout(0)
NUMBER = int(os.environ.get("SOAK_BROKEN", "10000"))
MOST_GROWTH_MB = 96  # one picture may take 64 while it is decoded; the allocator keeps some


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_broken_pictures_crash_nothing(catalogue: Catalogue, store: ObjectStore) -> None:
    catalogue.create_gallery("g")
    fuzz(catalogue, store, first_seed=10**9, number=100)  # codecs and their tables
    started = time.monotonic()
    outcome = fuzz(catalogue, store, first_seed=100_000 * SEED, number=NUMBER)
    took_s = time.monotonic() - started
    embed_all(catalogue, store)
    by_code: Counter[str] = Counter()
    for (_, code), number in outcome.ends.items():
        by_code[code] += number
    growth_mb = max(outcome.rss_mb) - outcome.rss_mb[0]
    show(
        f"{NUMBER} broken pictures, seed {SEED}",
        {
            **dict(by_code.most_common()),
            "neighbours embedded": len(outcome.neighbours),
            "slowest": f"{outcome.slowest_s:.2f} s (seed {outcome.slowest_seed})",
            "memory grew by": f"{growth_mb:.0f} MB at most, {outcome.rss_mb[-1]:.0f} at the end",
            "took": f"{took_s:.0f} s",
        },
    )
    assert sum(by_code.values()) == NUMBER
    assert growth_mb < MOST_GROWTH_MB
    assert {catalogue.image(known).state for known in outcome.neighbours} == {"searchable"}
    assert catalogue.gallery("g").counts.pending == 0
