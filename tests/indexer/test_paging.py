"""Pages of one search over the live index: exact while pictures come and go, refused when lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.catalogue import Catalogue
from indexer.errors import PlaceLost
from indexer.index.live_index import LiveIndex
from indexer.records import Hit, Place
from tests.indexer.test_live_index import Make, embed, enqueue, finish_all, make, unit

__all__ = ["make"]  # a fixture


def next_page(index: LiveIndex, place: Place | None, k: int) -> tuple[list[Hit], Place | None]:
    """The next k hits of one search, and the place behind them."""
    ranking = index.search("g", unit(1), k, behind=place)
    if not ranking.hits or ranking.generation is None:
        return [], place
    ahead = 0 if place is None else place.num_ahead
    return ranking.hits, Place(ranking.generation, ahead + len(ranking.hits), ranking.hits[-1])


def test_pages_hold_over_changes_processes_snapshots_and_rebuilds(
    catalogue: Catalogue, make: Make, tmp_path: Path
) -> None:
    catalogue.create_gallery("g")
    first = [embed(catalogue, seed) for seed in range(24)]
    index = make()
    ranking = [hit.image_id for hit in index.search("g", unit(1), 99).hits]
    assert sorted(ranking) == first
    shown, place = next_page(index, None, 5)
    gone = {ranking[1], ranking[7], ranking[12]}
    for image_id in gone:
        catalogue.holdings.remove_image(image_id)
    new = [embed(catalogue, seed) for seed in range(24)]  # as good as those that were there
    index.catch_up()
    others = [
        index,
        make("elsewhere"),  # another process, which builds its own
        index,
    ]
    for number, other in enumerate(others):
        page, place = next_page(other, place, 4)
        shown += page
        new.append(embed(catalogue, number))
    index.stop()
    again = make()  # from its snapshot
    while page:
        page, place = next_page(again, place, 4)
        shown += page
    left = [image_id for image_id in ranking if image_id not in gone - {ranking[1]}]
    assert [hit.image_id for hit in shown] == left
    assert again.search("g", unit(1), 99, behind=place).indexed == len(ranking) - len(gone)


def test_page_asks_an_index_that_is_behind_to_catch_up(catalogue: Catalogue, make: Make) -> None:
    catalogue.create_gallery("g")
    behind, ahead = make(), make("other")
    for seed in range(4):
        embed(catalogue, seed)
    ahead.catch_up()
    shown, place = next_page(ahead, None, 2)
    rest, _ = next_page(behind, place, 9)
    assert len({hit.image_id for hit in shown + rest}) == 4


def test_picture_embedded_anew_stays_if_its_vector_does(catalogue: Catalogue, make: Make) -> None:
    catalogue.create_gallery("g")
    ids = [embed(catalogue, seed) for seed in range(6)]
    index = make()
    ranking = [hit.image_id for hit in index.search("g", unit(1), 9).hits]
    _, place = next_page(index, None, 2)
    same, other = ranking[3], ranking[4]
    enqueue(catalogue, same)
    finish_all(catalogue, unit(ids.index(same)))
    enqueue(catalogue, other)
    finish_all(catalogue, -unit(1))
    embed(catalogue, 3, model="another")  # neither does another model's vector matter
    enqueue(catalogue, ranking[2])
    finish_all(catalogue, unit(5), "another")
    index.catch_up()
    page, _ = next_page(index, place, 9)
    assert [hit.image_id for hit in page] == [ranking[2], same, ranking[5]]


def test_place_of_another_past_is_lost(catalogue: Catalogue, make: Make) -> None:
    catalogue.create_gallery("g")
    for seed in range(4):
        embed(catalogue, seed)
    index = make()
    _, place = next_page(index, None, 2)
    assert place is not None
    generation = place.generation
    moved = replace(generation, committed_at=generation.committed_at + timedelta(microseconds=1))
    unknown = replace(generation, seq=99)
    for wrong in (moved, unknown):
        with pytest.raises(PlaceLost, match="search again"):
            index.search("g", unit(1), 2, behind=replace(place, generation=wrong))
    embed(catalogue, 5)
    catalogue.changes.prune(keep=1)
    with pytest.raises(PlaceLost):
        index.search("g", unit(1), 2, behind=place)


def test_rebuild_after_pruning_keeps_the_pages_that_can_be_asked_for(
    catalogue: Catalogue, make: Make
) -> None:
    catalogue.create_gallery("g")
    for seed in range(6):
        embed(catalogue, seed)
    index = make()
    ranking = [hit.image_id for hit in index.search("g", unit(1), 9).hits]
    shown, place = next_page(index, None, 2)
    catalogue.changes.prune(keep=1)
    embed(catalogue, 1)
    rest, _ = next_page(make("built-anew"), place, 9)
    assert [hit.image_id for hit in shown + rest] == ranking
