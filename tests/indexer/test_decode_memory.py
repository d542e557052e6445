"""No picture, however made, takes more than 64 MB. Each is decoded in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Pictures
from tests.indexer.steps import png_of, run_python

make = Pictures()
LIMIT_MB = 64

MEASURE = """
import io, sys
from PIL import Image
from indexer.pictures.decode import decode, make_thumbnail, read_header
from indexer.errors import BadPicture
from indexer.records import Box

def peak_mb():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024

box = Box(*map(int, sys.argv[2].split(","))) if sys.argv[2] else None
for kind in ("JPEG", "PNG", "WEBP"):  # codecs and their tables are not a picture's memory
    small = io.BytesIO()
    Image.new("RGB", (64, 64)).save(small, kind)
    decode(small, (384, 128))
before = peak_mb()
with open(sys.argv[1], "rb") as file:
    try:
        read_header(file, box=box)
        decode(file, (384, 128), box)
        make_thumbnail(file, box)
        outcome = "decoded"
    except BadPicture as problem:
        outcome = problem.code
print(outcome, peak_mb() - before)
"""


def noisy(width: int, height: int, mode: str = "RGB") -> Image.Image:
    noise = Image.effect_noise((width // 8, height // 8), 90)
    return noise.resize((width, height), Image.Resampling.NEAREST).convert(mode)


CASES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "bomb of 900 million pixels": (
        lambda: png_of(30_000, 30_000, b"\x00" * 3_751 * 3_000, depth=1, colour=0),
        "",
        "picture_too_large",
    ),
    "largest RGBA PNG": (
        lambda: make.save(Image.new("RGBA", (4000, 3800), (9, 8, 7, 99)), "PNG"), "", "decoded",
    ),
    "16-bit PNG": (
        lambda: make.save(Image.new("I;16", (5000, 6000), 30_000), "PNG"), "", "decoded",
    ),
    "palette PNG with transparency": (
        lambda: make.save(Image.new("P", (7500, 8000), 7), "PNG", compress_level=1, transparency=0),
        "",
        "decoded",
    ),
    "48 megapixel JPEG": (lambda: make.save(noisy(8000, 6000), "JPEG"), "", "decoded"),
    "small box in a 48 megapixel JPEG": (
        lambda: make.save(noisy(8000, 6000), "JPEG"), "100,100,200,400", "decoded",
    ),
    "progressive JPEG": (
        lambda: make.save(noisy(4800, 4000), "JPEG", progressive=True), "", "decoded",
    ),
    "CMYK JPEG": (lambda: make.save(noisy(6000, 5000, "CMYK"), "JPEG"), "", "decoded"),
    "largest WebP": (lambda: make.save(noisy(1900, 1900), "WEBP", quality=80), "", "decoded"),
    "larger WebP": (
        lambda: make.save(noisy(4000, 3000), "WEBP", quality=50, method=0), "", "picture_too_large",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_peak_memory_of_one_picture_is_bounded(case: str, tmp_path: Path) -> None:
    create, box, expected = CASES[case]
    path = tmp_path / "picture"
    path.write_bytes(create())
    run = run_python(MEASURE, path, box)
    assert run.returncode == 0, run.stderr
    outcome, growth_mb = run.stdout.split()
    assert outcome == expected
    assert float(growth_mb) <= LIMIT_MB
    print(f"{case}: {growth_mb} MB")
