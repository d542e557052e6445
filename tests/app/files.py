"""Files to upload: good ones, and one of each kind that is not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

COLOURS = {"red": (210, 30, 30), "green": (30, 150, 50), "blue": (30, 50, 200)}
TIMED = "2026-05-01T12:00:00Z"


def picture(colour: str, number: int = 0, *, suffix: str = "JPEG", mode: str = "RGB") -> bytes:
    """A plain picture of 32x64; another `number` is other bytes, with the same look."""
    image = Image.new("RGB", (32, 64), COLOURS[colour])
    image.putpixel((number % 32, number // 32), (128, 128, 128))
    file = io.BytesIO()
    image.convert(mode).save(file, suffix, quality=95)
    return file.getvalue()


def animated() -> bytes:
    """A WebP of two frames, the first one red."""
    frames = [Image.new("RGB", (32, 64), COLOURS[name]) for name in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    return file.getvalue()


def deep() -> bytes:
    """A PNG of 16 bits a pixel."""
    file = io.BytesIO()
    Image.fromarray(np.full((64, 32), 40_000, np.uint16)).save(file, "PNG")
    return file.getvalue()


def bomb(side_px: int = 30_000) -> bytes:
    """A small PNG whose header promises side_px x side_px pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiny() -> bytes:
    """1x1."""
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()
