"""Bytes to pixels: what is usable is converted, what isn't is refused by its header."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from indexer.errors import BadPicture
from indexer.pictures.decode import decode, decode_boxes, make_thumbnail, read_header
from indexer.pictures.file import inspect
from indexer.records import Box, PictureLimits
from tests.conftest import Pictures
from tests.indexer.steps import DAMAGED, png_of

make = Pictures()
SIZE = (64, 32)


def refusal(data: bytes, box: Box | None = None) -> BadPicture:
    with pytest.raises(BadPicture) as caught:
        read_header(io.BytesIO(data), box=box)
    return caught.value


def pixels(data: bytes, box: Box | None = None, size: tuple[int, int] = SIZE) -> np.ndarray:
    read_header(io.BytesIO(data), box=box)
    decoded = decode(io.BytesIO(data), size, box)
    assert decoded.shape == (*size, 3)
    assert decoded.dtype == np.uint8
    return decoded


GRADIENT = Image.linear_gradient("L").resize((64, 128)).convert("RGB")
RED_ALPHA = Image.new("RGBA", (32, 64), (255, 0, 0, 128))


@pytest.mark.parametrize(
    ("image", "kind", "how", "expected"),
    [
        (Image.new("RGB", (32, 64), "red"), "JPEG", {}, (254, 0, 0)),
        (Image.new("RGB", (32, 64), "red"), "JPEG", {"progressive": True}, (254, 0, 0)),
        (Image.new("RGB", (32, 64), "red"), "PNG", {}, (255, 0, 0)),
        (Image.new("RGB", (32, 64), "red"), "WEBP", {"lossless": True}, (255, 0, 0)),
        (Image.new("CMYK", (32, 64), (0, 255, 255, 0)), "JPEG", {}, (255, 0, 0)),
        (Image.new("L", (32, 64), 77), "JPEG", {}, (77, 77, 77)),
        (Image.new("1", (32, 64), 1), "PNG", {}, (255, 255, 255)),
        (Image.new("P", (32, 64), 5), "PNG", {}, None),
        (Image.new("RGB", (32, 64), "red").quantize(4), "PNG", {}, (255, 0, 0)),
        (Image.new("RGB", (32, 64), "red"), "PNG", {"transparency": (255, 0, 0)}, (255,) * 3),
        (RED_ALPHA, "PNG", {}, (255, 127, 127)),
        (RED_ALPHA, "WEBP", {"lossless": True}, (255, 127, 127)),
        (Image.new("LA", (32, 64), (0, 0)), "PNG", {}, (255, 255, 255)),
        (Image.new("I;16", (32, 64), 0x4D00), "PNG", {}, (77, 77, 77)),
    ],
)
def test_decode_converts_every_usable_kind(
    image: Image.Image, kind: str, how: dict[str, object], expected: tuple[int, ...] | None
) -> None:
    colours = pixels(make.save(image, kind, **how)).reshape(-1, 3)
    if expected is not None:
        np.testing.assert_allclose(colours, np.tile(expected, (len(colours), 1)), atol=2)


def test_decode_scales_16_bit_colour() -> None:
    row = b"\x00" + struct.pack(">HHH", 0x4D00, 0xFFFF, 0) * 20
    decoded = pixels(png_of(20, 30, row * 30, depth=16))
    assert (decoded == (77, 255, 0)).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_decode_takes_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (32, 64), colour) for colour in ("blue", "red", "red")]
    data = make.save(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_allclose(pixels(data)[0, 0], (0, 0, 255), atol=3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_decode_turns_upright_and_crops_in_upright_pixels(kind: str, orientation: int) -> None:
    corners = Image.new("RGB", (48, 80), "white")
    for colour, place in (("red", (0, 0)), ("blue", (32, 0)), ("green", (0, 64))):
        corners.paste(colour, (*place, place[0] + 16, place[1] + 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = make.save(corners, kind, exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    header = read_header(io.BytesIO(data))
    assert (header.width_px, header.height_px) == upright.size
    everything = pixels(data, size=(upright.height, upright.width))
    np.testing.assert_allclose(everything, np.asarray(upright), atol=2)
    box = Box(5, 20, 30, 17)
    expected = upright.crop((5, 20, 35, 37))
    np.testing.assert_allclose(pixels(data, box, (17, 30)), np.asarray(expected), atol=2)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP"]),
    st.tuples(st.integers(16, 900), st.integers(16, 900)),
    st.tuples(*[st.floats(0, 1)] * 4),
)
def test_decode_is_close_to_cropping_and_resizing_in_full(
    kind: str, size: tuple[int, int], where: tuple[float, float, float, float]
) -> None:
    width, height = (int(16 + where[2 + i] * (size[i] - 16)) for i in (0, 1))
    box = Box(int(where[0] * (size[0] - width)), int(where[1] * (size[1] - height)), width, height)
    data = make.noise(3, size, kind)
    opened = Image.open(io.BytesIO(data)).convert("RGB")
    crop = opened.crop((box.x, box.y, box.x + width, box.y + height))
    expected = np.asarray(crop.resize((32, 64), Image.Resampling.BICUBIC), np.int32)
    error = np.abs(pixels(data, box) - expected)
    assert error.mean() < 3
    assert np.percentile(error, 99) < 25


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_a_picture"),
        (b"hello, this is text" * 10, "not_a_picture"),
        (b"\xff\xd8\xff", "truncated_picture"),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 500, "truncated_picture"),
        (b"\x89PNG\r\n\x1a\n", "truncated_picture"),
        (b"RIFF\x04\x00\x00\x00WEBPabcd", "not_a_picture"),
        (make.save(Image.new("RGB", (40, 40)), "GIF"), "not_a_picture"),
        (make.save(Image.new("RGB", (40, 40)), "TIFF"), "not_a_picture"),
        (make.plain(size=(1, 1), kind="PNG"), "picture_too_small"),
        (make.plain(size=(15, 400)), "picture_too_small"),
        (png_of(30_000, 30_000), "picture_too_large"),
        (png_of(2**31 - 1, 2**31 - 1), "picture_too_large"),
        (png_of(0, 0), "not_a_picture"),
    ],
)
def test_header_tells_what_is_refused(data: bytes, code: str) -> None:
    problem = refusal(data)
    assert problem.code == code
    assert problem.detail
    assert "Error" not in problem.detail
    assert " at 0x" not in problem.detail


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused_by_its_header(kind: str, kept: float) -> None:
    data = make.noise(1, (200, 200), kind)
    assert refusal(data[: int(len(data) * kept)]).code in ("truncated_picture", "not_a_picture")


def test_bytes_after_the_end_are_accepted() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        pixels(make.noise(1, kind=kind) + b"\x00camera maker's notes" * 50)


def test_damaged_pixels_are_a_bad_picture_when_decoded() -> None:
    short = DAMAGED
    read_header(io.BytesIO(short))
    with pytest.raises(BadPicture, match="damaged"):
        decode(io.BytesIO(short), SIZE)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_any_damage_is_a_bad_picture_or_none(kind: str, data: st.DataObject) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = bytearray(make.save(GRADIENT, kind, exif=exif))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    for attempt in (
        lambda f: read_header(f),
        lambda f: decode(f, SIZE),
        lambda f: make_thumbnail(f),
    ):
        try:
            attempt(io.BytesIO(bytes(whole)))
        except BadPicture as problem:
            assert problem.detail


@pytest.mark.parametrize(
    ("box", "code"),
    [
        (Box(-1, 0, 20, 20), "box_outside_picture"),
        (Box(0, 0, 33, 64), "box_outside_picture"),
        (Box(20, 50, 20, 20), "box_outside_picture"),
        (Box(0, 0, 15, 20), "box_too_small"),
        (Box(0, 0, 0, 0), "box_too_small"),
        (Box(5, 5, -3, 20), "box_too_small"),
        (Box(2**70, 2**70, 20, 20), "box_outside_picture"),
    ],
)
def test_box_must_lie_inside(box: Box, code: str) -> None:
    problem = refusal(make.plain(size=(32, 64)), box)
    assert (problem.code, problem.field) == (code, "box")


def test_jpeg_is_decoded_coarser_only_as_far_as_the_box_allows() -> None:
    stripes = np.zeros((1024, 2048, 3), np.uint8)
    stripes[:, ::2] = 255  # a coarser scale would blur them to grey
    data = make.save(Image.fromarray(stripes), "JPEG", quality=100, subsampling=0)
    fine = pixels(data, Box(100, 100, 32, 64))
    assert fine.std() > 100
    assert pixels(data).std() < 5


@pytest.mark.parametrize("height", [962, 1080, 1200, 1950, 2161])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_scaled_jpeg_is_within_2_rms_of_resizing_it_in_full(height: int, subsampling: int) -> None:
    """What a camera sends: edges and grain, a few times finer than what is made of it."""
    rng = np.random.default_rng(height)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 24, height // 18, 3), np.uint8))
    edges = coarse.resize((height * 4 // 3, height), Image.Resampling.NEAREST)
    scene = np.asarray(edges.filter(ImageFilter.GaussianBlur(1)))  # no lens is sharper
    grain = rng.normal(0, 8, (*scene.shape[:2], 1))
    camera = Image.fromarray((scene + grain).clip(0, 255).astype(np.uint8))
    data = make.save(camera, "JPEG", quality=85, subsampling=subsampling)
    full = Image.open(io.BytesIO(data)).resize((128, 384), Image.Resampling.BICUBIC)
    error = pixels(data, size=(384, 128)).astype(np.float64) - np.asarray(full)
    assert np.sqrt((error**2).mean()) < 2


@pytest.mark.parametrize("orientation", [1, 6])
def test_boxes_of_one_picture_are_what_each_is_alone(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = make.save(GRADIENT.resize((900, 700)), "JPEG", exif=exif, quality=95)
    boxes = [Box(10, 20, 60, 100), None, Box(100, 50, 500, 600), Box(0, 0, 300, 400)]
    together = decode_boxes(io.BytesIO(data), SIZE, boxes)
    for box, got in zip(boxes, together, strict=True):
        np.testing.assert_array_equal(got, decode(io.BytesIO(data), SIZE, box))


def test_orientation_after_the_pixels_turns_neither_the_picture_nor_its_boxes() -> None:
    """PNG allows that; the header, which boxes are checked against, does not have it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = make.save(GRADIENT, "PNG")
    turned = make.save(GRADIENT, "PNG", exif=exif)
    start = turned.index(b"eXIf") - 4
    late = turned[start : start + 12 + int.from_bytes(turned[start : start + 4], "big")]
    end = plain.rindex(b"IEND") - 4
    data = plain[:end] + late + plain[end:]
    assert read_header(io.BytesIO(data)) == read_header(io.BytesIO(plain))
    for box in (None, Box(0, 0, 40, 32)):
        np.testing.assert_array_equal(pixels(data, box), pixels(plain, box))
        assert make_thumbnail(io.BytesIO(data), box) == make_thumbnail(io.BytesIO(plain), box)


def test_jpeg_with_absurdly_many_scans_is_refused() -> None:
    data = make.noise(1, (200, 200), "JPEG")
    start = data.rindex(b"\xff\xda")
    scan = data[start : start + 14]
    assert refusal(data[:-2] + scan * 200 + b"\xff\xd9").code == "picture_too_large"


def test_progressive_jpeg_counts_in_full() -> None:
    big = Image.new("L", (6000, 6000))
    limits = PictureLimits(max_decoded_bytes=32 * 2**20)
    data = make.save(big, "JPEG")
    assert inspect(io.BytesIO(data)).coefficients_per_px == 0
    read_header(io.BytesIO(data), limits)
    with pytest.raises(BadPicture, match="baseline"):
        read_header(io.BytesIO(make.save(big, "JPEG", progressive=True)), limits)


def test_thumbnail_keeps_proportions_orientation_and_box() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = make.save(Image.new("RGB", (1200, 800), "red"), "JPEG", exif=exif)
    for box, size in ((None, (213, 320)), (Box(100, 100, 400, 200), (320, 160))):
        thumbnail = Image.open(io.BytesIO(make_thumbnail(io.BytesIO(data), box)))
        assert (thumbnail.format, thumbnail.size) == ("JPEG", size)
    small = Image.open(io.BytesIO(make_thumbnail(io.BytesIO(make.plain()))))
    assert small.size == (32, 64)
