import torch

from model.data.transforms import Changes, draw_changes, erase, flip_and_shift, impoverish


def changes(pixels: torch.Tensor, seed: int = 0) -> Changes:
    generator = torch.Generator().manual_seed(seed)
    return draw_changes(len(pixels), pixels.shape[2], generator)


def test_flip_and_shift_moves_a_mark_as_far_as_the_padding_allows() -> None:
    pixels = torch.zeros(400, 3, 96, 32)
    pixels[:, :, 48, 4] = 1.0
    moved = flip_and_shift(pixels, changes(pixels))
    assert moved.shape == pixels.shape
    places = (moved[:, 0] == 1).nonzero()
    assert len(places) == 400
    rows, columns = places[:, 1], places[:, 2]
    assert set(rows.tolist()) == set(range(46, 51))
    assert set(columns.tolist()) == {*range(2, 7), *range(25, 30)}
    mirrored = (columns > 16).float().mean()
    assert 0.4 < mirrored < 0.6


def test_erase_fills_within_the_asked_share_of_half_of_the_pictures() -> None:
    pixels = torch.ones(600, 3, 96, 32)
    share = (erase(pixels, changes(pixels)) == 0)[:, 0].float().mean(dim=(1, 2))
    touched = share[share > 0]
    assert 0.4 < len(touched) / 600 < 0.6
    assert touched.max() < 0.44
    assert touched.mean() > 0.12


def test_erased_part_is_one_rectangle() -> None:
    pixels = torch.ones(20, 3, 30, 20)
    for hole in (erase(pixels, changes(pixels), probability=1.0) == 0)[:, 0]:
        rows, columns = hole.any(dim=1), hole.any(dim=0)
        assert (hole == rows[:, None] & columns[None, :]).all()
        assert rows.sum() * columns.sum() == hole.sum()


def test_same_seed_gives_the_same_pictures() -> None:
    pixels = torch.rand(8, 3, 30, 20)
    first, again, other = (impoverish(pixels, changes(pixels, seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_part_of_a_batch_changes_as_it_does_within_the_whole() -> None:
    pixels = torch.rand(8, 3, 30, 20)
    whole = impoverish(pixels, changes(pixels))
    part = impoverish(pixels[3:7], changes(pixels).part(3, 7))
    assert torch.equal(part, whole[3:7])
