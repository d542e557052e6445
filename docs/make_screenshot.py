"""Write docs/screenshot.png from a running demo: `make demo`, then in another terminal

.venv/bin/python docs/make_screenshot.py "A woman in a red coat and black trousers"
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import sync_playwright

SIZE = {"width": 1280, "height": 800}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def take(address: str) -> bytes:
    """The page at `address` as a PNG, once all of its pictures are there."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
        page.goto(address, wait_until="networkidle")
        content = page.screenshot()
        browser.close()
    return content


def main() -> None:
    text = sys.argv[1]
    server = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8000"
    shot = Image.open(io.BytesIO(take(f"{server}/?{urlencode({'text': text})}"))).convert("RGB")
    target = Path(__file__).with_name("screenshot.png")
    # A palette of 256 colours: a third of the bytes, and nobody sees it.
    shot.quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
