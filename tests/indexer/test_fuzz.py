"""Broken pictures end with a stable code and harm nobody; 10,000 of them in tests/soak."""

from __future__ import annotations

import io
import struct
import time
import zlib

import pytest

from indexer.catalogue import Catalogue
from indexer.errors import BadPicture
from indexer.pictures.decode import read_header
from indexer.storage.object_store import ObjectStore
from tests.conftest import Pictures
from tests.indexer.fuzzing import embed_all, fuzz


@pytest.mark.parametrize(
    "database_kind", ["sqlite"], indirect=True
)  # files, not rows, are at stake
@pytest.mark.usefixtures("gallery")
def test_broken_pictures_are_told_by_a_code_and_their_neighbours_embed(
    catalogue: Catalogue, store: ObjectStore
) -> None:
    outcome = fuzz(catalogue, store, first_seed=0, number=300)
    assert sum(outcome.ends.values()) == 300
    codes = {code for _, code in outcome.ends}
    assert {"not_a_picture", "truncated_picture", "whole"} <= codes
    embed_all(catalogue, store)
    assert {catalogue.image(known).state for known in outcome.neighbours} == {"searchable"}
    assert catalogue.gallery("g").counts.pending == 0
    assert outcome.slowest_s < 5, outcome.slowest_seed
    for image in catalogue.list_images("g", "failed", limit=1000):
        assert image.reason, image


@pytest.mark.parametrize("kind", ["segments", "junk", "chunks"])
def test_file_of_nothing_but_parts_costs_little_to_refuse(kind: str) -> None:
    """8 MB of the smallest parts there are: read one by one they would take many seconds."""
    jpeg = Pictures().plain("red")
    empty = struct.pack(">I", 0) + b"tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
    png = Pictures().plain("red", kind="PNG")
    data, code = {
        "segments": (jpeg[:2] + b"\xff\xfe\x00\x02" * 2_000_000 + jpeg[2:], "picture_too_large"),
        "junk": (jpeg[:2] + b"\xff\xfe\x00\x02" + b"j" * 8_000_000 + jpeg[2:], "not_a_picture"),
        "chunks": (png[:33] + empty * 700_000 + png[33:], "picture_too_large"),
    }[kind]
    started = time.process_time()
    with pytest.raises(BadPicture) as refused:
        read_header(io.BytesIO(data))
    assert refused.value.code == code
    assert time.process_time() - started < 1
