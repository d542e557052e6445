"""Files that look like pictures and are broken in every way that we could think of, by seed."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

from tests.conftest import Pictures

CODES = {
    *("empty_file", "file_too_large", "not_a_picture", "truncated_picture", "picture_too_small"),
    *("picture_too_large", "undecodable_picture"),
}
_make = Pictures()
_PNG = b"\x89PNG\r\n\x1a\n"


def break_one(seed: int) -> tuple[str, bytes]:
    """(how it is broken, the file). The same seed gives the same file; each another one."""
    chance = random.Random(seed)
    how = chance.choice(list(_WAYS))
    return how, _WAYS[how](chance)


def _base(chance: random.Random) -> bytes:
    """A whole picture of some kind."""
    size = (chance.randint(16, 90), chance.randint(16, 180))
    noise = Image.effect_noise(size, 80).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = chance.randint(0, 9)
    ways: list[tuple[Image.Image, str, dict[str, object]]] = [
        (noise, "JPEG", {"quality": chance.randint(1, 100)}),
        (noise, "JPEG", {"progressive": True, "exif": exif}),
        (noise.convert("L"), "JPEG", {}),
        (noise.convert("CMYK"), "JPEG", {}),
        (noise, "PNG", {"exif": exif}),
        (noise.quantize(16), "PNG", {}),
        (noise.convert("RGBA"), "PNG", {}),
        (Image.new("I;16", size, 30_000), "PNG", {}),
        (noise, "WEBP", {"quality": chance.randint(1, 100)}),
        (noise.convert("RGBA"), "WEBP", {"lossless": True}),
    ]
    image, kind, options = chance.choice(ways)
    return _make.save(image, kind, **options)


def _flip(chance: random.Random) -> bytes:
    data = bytearray(_base(chance))
    for _ in range(chance.choice((1, 2, 5, 20, 200))):
        # Headers are where a bit changes the most.
        end = len(data) if chance.random() < 0.5 else min(len(data), 200)
        data[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(data)


def _cut(chance: random.Random) -> bytes:
    data = _base(chance)
    return data[: chance.randrange(len(data))]


def _shuffle(chance: random.Random) -> bytes:
    """A piece is taken out, doubled, or put elsewhere."""
    data = _base(chance)
    first, last = sorted(chance.randrange(len(data)) for _ in range(2))
    piece = data[first:last]
    place = chance.randrange(len(data))
    return chance.choice(
        (
            data[:first] + data[last:],
            data[:last] + piece + data[last:],
            data[:place] + piece + data[place:],
            data[:first] + chance.randbytes(last - first) + data[last:],
        )
    )


def _splice(chance: random.Random) -> bytes:
    one, other = _base(chance), _base(chance)
    return one[: chance.randrange(len(one))] + other[chance.randrange(len(other)) :]


def _foreign(chance: random.Random) -> bytes:
    """A file of another kind."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("../../etc/passwd", b"\0" * chance.randrange(100_000))
    gif = io.BytesIO()
    Image.new("P", (32, 64)).save(gif, "GIF")
    return chance.choice(
        (
            archive.getvalue(),
            b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript>>>>endobj\n%%EOF",
            b"<!doctype html><script>alert(document.domain)</script><svg onload=alert(1)>",
            gif.getvalue(),
            b"#!/bin/sh\nid\n",
            chance.randbytes(chance.randrange(1, 5000)),
            b"",
        )
    )


def _polyglot(chance: random.Random) -> bytes:
    picture, other = _base(chance), _foreign(chance)
    webp = b"RIFF" + struct.pack("<I", len(other)) + b"WEBPVP8 "
    return chance.choice(
        (
            picture + other,
            other + picture,
            b"\xff\xd8\xff\xe0" + other,
            b"\xff\xd8\xff\xfe"
            + struct.pack(">H", min(len(other) + 2, 65535))
            + other
            + picture[2:],
            _PNG + other,
            _PNG + _chunk(b"IHDR", other[:13]) + _chunk(b"IEND", b""),
            webp + other,
            picture[:16] + other,
        )
    )


def _chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    head = struct.pack(">I", len(data) if length is None else length)
    return head + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


@cache
def _swollen(num_bytes: int) -> bytes:
    return zlib.compress(bytes(num_bytes), 9)


def _chunk_bomb(chance: random.Random) -> bytes:
    """Many or swelling parts around a small picture."""
    swollen = _swollen(20_000_000)
    many = chance.randrange(1_000, 20_000)
    parts = chance.choice(
        (
            _chunk(b"tEXt", b"a\0b") * many,
            _chunk(b"zTXt", b"a\0\0" + swollen),
            _chunk(b"iCCP", b"a\0\0" + swollen),
            _chunk(b"iTXt", b"a\0\1\0\0\0" + swollen) * 20,
            _chunk(b"IDAT", b"") * many,
            _chunk(b"PLTE", b"abc") * many,
            _chunk(b"eXIf", chance.randbytes(1000)),
            _chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)),
        )
    )
    rows = _swollen(chance.choice((0, 97 * 32, 30_000_000)))
    png = _PNG + _header(32, 32) + parts + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    jpeg = _make.plain("red", (32, 64), progressive=True)
    scan = jpeg.index(b"\xff\xda")
    segment = chance.choice(
        (b"\xff\xe1\x00\x08Exif\0\0", b"\xff\xfe\x00\x02", b"\xff\xe2\x00\x04ab")
    )
    bombs = (png, jpeg[:2] + segment * many + jpeg[2:], jpeg[:-2] + jpeg[scan:-2] * 120 + jpeg[-2:])
    return chance.choice(bombs)


def _huge(chance: random.Random) -> bytes:
    """Sizes that no memory has, or none at all."""
    side = chance.choice((0, 1, 15, 16_384, 65_535, 2**24, 2**31 - 1, 2**32 - 1))
    other = chance.choice((0, 1, 16, 65_535, 2**31 - 1))
    depth, colour = chance.choice(((1, 0), (8, 2), (16, 6), (8, 3), (3, 9)))
    rows = _chunk(b"IDAT", zlib.compress(b"\0" * 10_000))
    png = _PNG + _header(side, other, depth, colour) + rows + _chunk(b"IEND", b"")
    jpeg = bytearray(_make.plain("red", (32, 64)))
    frame = jpeg.index(b"\xff\xc0")
    struct.pack_into(">HH", jpeg, frame + 5, other & 0xFFFF, side & 0xFFFF)
    webp = bytearray(_make.plain("red", (32, 64), "WEBP"))
    struct.pack_into("<HH", webp, 26, side & 0xFFFF, other & 0xFFFF)
    return chance.choice((png, bytes(jpeg), bytes(webp)))


def _wrong_length(chance: random.Random) -> bytes:
    """A length somewhere is not what follows."""
    wrong = chance.choice((0, 1, 2, 3, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
    body = _chunk(b"IDAT", zlib.compress(b"\0" * 97 * 32), wrong)
    png = _PNG + _header(32, 32) + body + _chunk(b"IEND", b"")
    jpeg = bytearray(_make.plain("red", (32, 64), progressive=chance.random() < 0.5))
    marks = [
        place for place in range(len(jpeg) - 4) if jpeg[place] == 0xFF and jpeg[place + 1] > 0xBF
    ]
    struct.pack_into(">H", jpeg, chance.choice(marks) + 2, wrong & 0xFFFF)
    webp = bytearray(_make.plain("red", (32, 64), "WEBP"))
    struct.pack_into("<I", webp, chance.choice((4, 16)), wrong)
    return chance.choice((png, bytes(jpeg), bytes(webp)))


_WAYS: dict[str, Callable[[random.Random], bytes]] = {
    "bits flipped": _flip,
    "cut": _cut,
    "shuffled": _shuffle,
    "spliced": _splice,
    "polyglot": _polyglot,
    "chunk bomb": _chunk_bomb,
    "huge": _huge,
    "wrong length": _wrong_length,
}
