"""What a picture file says of itself without being decoded: format, completeness, and cost."""

from __future__ import annotations

import itertools
import os
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO, Literal

from indexer.errors import BadPicture

Format = Literal["JPEG", "PNG", "WEBP"]
_MAX_SCANS = 100  # real ones have about ten; each costs a pass over the whole picture
_MAX_PARTS = 20_000  # segments or chunks: real ones have thousands, and each is read by itself
_MAX_JUNK_BYTES = 2**16  # between two segments, where there should be none
_CHUNK_BYTES = 2**20
_SCAN_OR_END = re.compile(rb"\xff[\xda\xd9]")  # one pass, where finding each takes two
_NO_LENGTH = (0x01, *range(0xD0, 0xD8))  # TEM, RSTn
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)  # DHT, JPG, DAC: numbered like the frame headers around them


@dataclass(frozen=True, slots=True)
class PictureFile:
    """kept_bytes: of the file, held in memory while decoding.

    coefficients_per_px: what a JPEG of several scans needs in full whatever size it is decoded
    at, as it is collected before it is transformed; 0 for all others.
    """

    format: Format
    kept_bytes: int
    coefficients_per_px: float = 0.0


def inspect(file: BinaryIO) -> PictureFile:
    """Raises BadPicture for a file that is no JPEG, PNG or WebP, or ends early."""
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    magic = file.read(16)
    if magic.startswith(b"\xff\xd8\xff"):
        return _inspect_jpeg(file)
    if magic.startswith(b"\x89PNG\r\n\x1a\n"):
        return _inspect_png(file, size_bytes)
    if magic.startswith(b"RIFF") and magic[8:12] == b"WEBP":
        return _inspect_webp(magic, size_bytes)
    raise BadPicture("not_a_picture", "the file is not a JPEG, PNG or WebP picture")


def _truncated(kind: Format, how: str) -> BadPicture:
    return BadPicture("truncated_picture", f"the {kind} file is cut short: {how}")


def _check_parts(kind: Format, num_parts: int) -> None:
    if num_parts > _MAX_PARTS:
        raise BadPicture("picture_too_large", f"the {kind} file has more than {_MAX_PARTS} parts")


def _inspect_jpeg(file: BinaryIO) -> PictureFile:
    coefficients, components = 0.0, 0
    file.seek(2)
    for num_parts in itertools.count():
        _check_parts("JPEG", num_parts)
        marker, segment = _read_segment(file)
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES:
            components, coefficients = _read_frame(segment)
            interleaved = marker & 3 != 2  # SOF2, 6, 10, 14 are progressive
        elif marker == 0xDA:
            break
    if not components or not segment:
        raise BadPicture("not_a_picture", "the JPEG file has no frame header")
    one_scan = interleaved and segment[0] == components
    kept_bytes = 2 * file.tell()  # Pillow keeps the segments, and metadata joined once more
    _find_end(file)
    return PictureFile("JPEG", kept_bytes, 0.0 if one_scan else coefficients)


def _read_segment(file: BinaryIO) -> tuple[int, bytes]:
    """The next marker and what belongs to it."""
    while True:
        start = file.tell()
        byte = file.read(1)
        while byte and byte != b"\xff":
            if file.tell() - start > _MAX_JUNK_BYTES:
                raise BadPicture("not_a_picture", "the JPEG file has a damaged header")
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if not byte:
            raise _truncated("JPEG", "it ends before the picture begins")
        if byte[0] != 0 and byte[0] not in _NO_LENGTH:
            break
    if byte[0] == 0xD9:
        raise _truncated("JPEG", "it ends before the picture begins")
    head = file.read(2)
    length = int.from_bytes(head, "big") - 2
    segment = file.read(max(length, 0))
    if len(head) < 2 or len(segment) < length:
        raise _truncated("JPEG", "it ends before the picture begins")
    return byte[0], segment


def _read_frame(segment: bytes) -> tuple[int, float]:
    """Number of components, and bytes of 16-bit coefficients a pixel, from a frame header."""
    samplings = segment[7::3]
    areas = [(sampling >> 4) * (sampling & 15) for sampling in samplings]
    if len(segment) < 6 or len(areas) != segment[5] or not all(areas):
        raise BadPicture("not_a_picture", "the JPEG file has a damaged frame header")
    largest = max(s >> 4 for s in samplings) * max(s & 15 for s in samplings)
    return len(areas), 2.0 * sum(areas) / largest


def _find_end(file: BinaryIO) -> None:
    """Look for the end marker; cameras append things after it, so it need not come last."""
    tail, scans = b"", 1
    while chunk := file.read(_CHUNK_BYTES):
        data = tail + chunk
        for found in _SCAN_OR_END.finditer(data):
            if found[0] == b"\xff\xd9":
                return
            scans += 1
            if scans > _MAX_SCANS:
                told = f"the JPEG file has more than {_MAX_SCANS} scans"
                raise BadPicture("picture_too_large", told)
        tail = data[-1:]
    raise _truncated("JPEG", "it has no end marker")


def _inspect_png(file: BinaryIO, size_bytes: int) -> PictureFile:
    position, kept_bytes, has_pixels = 8, 0, False
    for num_parts in itertools.count():
        _check_parts("PNG", num_parts)
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            raise _truncated("PNG", "it has no end chunk")
        length, kind = struct.unpack(">I4s", head)
        position += 12 + length
        if position > size_bytes:
            raise _truncated("PNG", f"it has {size_bytes} bytes, expected at least {position}")
        if kind == b"IEND":
            break
        if kind == b"IDAT":
            has_pixels = True
        else:
            kept_bytes += length
    if not has_pixels:
        raise BadPicture("not_a_picture", "the PNG file has no picture data")
    return PictureFile("PNG", kept_bytes)


def _inspect_webp(magic: bytes, size_bytes: int) -> PictureFile:
    expected = int.from_bytes(magic[4:8], "little") + 8
    if size_bytes < expected:
        raise _truncated("WEBP", f"it has {size_bytes} bytes, expected {expected}")
    return PictureFile("WEBP", size_bytes)
