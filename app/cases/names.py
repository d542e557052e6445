"""Names of files in an exported case: readable, and safe on any system."""

from __future__ import annotations

import re
import unicodedata

_SUFFIX = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_ENDING = re.compile(r"\.(jpe?g|png|webp)$", re.I)
_MOST_CHARS = 80
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.I)


def picture_name(place: int, num_exhibits: int, file_name: str, content_type: str) -> str:
    """`01-harbour-1-20260313-181625.jpg`: places have as many digits as the last one."""
    digits = max(2, len(str(num_exhibits)))
    return f"{place:0{digits}d}-{to_stem(file_name)}.{_SUFFIX[content_type]}"


def to_stem(name: str) -> str:
    """A name without a picture's ending, in letters, digits, `-` and `_` of ASCII."""
    plain = unicodedata.normalize("NFKD", _ENDING.sub("", name)).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:_MOST_CHARS].strip("-")
    return safe if safe and not _DEVICES.fullmatch(safe) else f"picture{safe and '-'}{safe}"
