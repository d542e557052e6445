"""Picture files of every kind become the same upright RGB; damaged ones are named."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.data.picture_files import FilePictures
from model.errors import PictureError

SIZE = (16, 8)


def halves(mode: str = "RGB", size: tuple[int, int] = (20, 40)) -> Image.Image:
    """White above black."""
    picture = Image.new("RGB", size, "black")
    picture.paste("white", (0, 0, size[0], size[1] // 2))
    return picture.convert(mode)


def load_one(path: Path) -> np.ndarray:
    loaded = FilePictures([str(path)], SIZE).load([0])
    assert loaded.shape == (1, 3, *SIZE)
    assert loaded.dtype == np.uint8
    return loaded[0]


def test_pictures_are_squashed_as_pillow_squashes_them(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 30, 3), np.uint8)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for turn, path in enumerate(paths):
        Image.fromarray(np.roll(noise, turn, axis=0)).save(path)
    loaded = FilePictures([str(path) for path in paths], SIZE).load(np.array([2, 0, 2]))
    for row, turn in enumerate((2, 0, 2)):
        wanted = Image.fromarray(np.roll(noise, turn, axis=0)).resize(
            (8, 16), Image.Resampling.BICUBIC
        )
        assert np.array_equal(loaded[row].transpose(1, 2, 0), np.asarray(wanted))
    assert FilePictures([], SIZE).load([]).shape == (0, 3, 16, 8)


MODES = [
    "L.png",
    "L.jpg",
    "CMYK.jpg",
    "P.png",
    "P.gif",
    "1.png",
    "RGB.webp",
    "RGB.bmp",
    "RGBA.png",
    "LA.png",
    "I;16.png",
]


@pytest.mark.parametrize(("mode", "suffix"), [name.split(".") for name in MODES])
def test_every_mode_shows_white_above_black(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    if mode == "I;16":
        Image.fromarray(np.asarray(halves("L")).astype(np.uint16) * 257).save(path)
    else:
        halves(mode).save(path)
    pixels_3HW = load_one(path)
    assert pixels_3HW[:, :6].min() > 240
    assert pixels_3HW[:, 10:].max() < 15


def test_transparent_is_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (20, 40), (255, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    assert load_one(tmp_path / "clear.png").min() == 255


def test_exif_orientation_turns_the_picture_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = halves().transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "lying.jpg", exif=exif)
    pixels_3HW = load_one(tmp_path / "lying.jpg")
    assert pixels_3HW[:, :6].min() > 230 and pixels_3HW[:, 10:].max() < 25
    lying.save(tmp_path / "damaged.jpg", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert load_one(tmp_path / "damaged.jpg").shape == (3, 16, 8)


def test_large_jpeg_is_nearly_what_slow_decoding_gives(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 400 * 800 * 3).astype(np.uint8).reshape(800, 400, 3)
    Image.fromarray(ramp).save(tmp_path / "large.jpg", quality=95)
    with Image.open(tmp_path / "large.jpg") as image:
        slow = np.asarray(image.resize((8, 16), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(load_one(tmp_path / "large.jpg").transpose(1, 2, 0) - slow).max() <= 3


def test_unreadable_picture_is_named_with_its_index(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(whole).save(tmp_path / "cut.jpg")
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    halves().save(tmp_path / "fine.png")
    names = ["fine.png", "cut.jpg", "text.jpg", "empty.png", "folder.png", "gone.png"]
    reasons = ["", "truncated", "expected a picture", "an empty file", "directory", "no such file"]
    pictures = FilePictures([str(tmp_path / name) for name in names], SIZE)
    for index, (name, reason) in enumerate(zip(names, reasons, strict=True)):
        if index:
            with pytest.raises(PictureError) as caught:
                pictures.load([0, index, 0])
            error = pickle.loads(pickle.dumps(caught.value))
            assert (error.path, error.index) == (tmp_path / name, index)
            assert reason in str(error) and str(tmp_path / name) in str(error)
    assert pickle.loads(pickle.dumps(pictures)).load([0]).shape == (1, 3, 16, 8)
