import torch

from model.data.transforms import erase, flip_and_shift, impoverish


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_flip_and_shift_moves_a_mark_as_far_as_the_padding_allows() -> None:
    pixels = torch.zeros(400, 3, 96, 32)
    pixels[:, :, 48, 4] = 1.0
    moved = flip_and_shift(pixels, seeded())
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
    share = (erase(pixels, seeded()) == 0)[:, 0].float().mean(dim=(1, 2))
    touched = share[share > 0]
    assert 0.4 < len(touched) / 600 < 0.6
    assert touched.max() < 0.44
    assert touched.mean() > 0.12


def test_erased_part_is_one_rectangle() -> None:
    pixels = torch.ones(20, 3, 30, 20)
    for hole in (erase(pixels, seeded(), probability=1.0) == 0)[:, 0]:
        rows, columns = hole.any(dim=1), hole.any(dim=0)
        assert (hole == rows[:, None] & columns[None, :]).all()
        assert rows.sum() * columns.sum() == hole.sum()


def test_same_seed_gives_the_same_pictures() -> None:
    pixels = torch.rand(8, 3, 30, 20)
    assert torch.equal(impoverish(pixels, seeded(3)), impoverish(pixels, seeded(3)))
    assert not torch.equal(impoverish(pixels, seeded(3)), impoverish(pixels, seeded(4)))
