"""Take the pictures of the docs from a running `passerby demo --frames 24`, in another terminal:

.venv/bin/python docs/make_screenshots.py            # all of them
.venv/bin/python docs/make_screenshots.py why marks  # these
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.text import Text

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
WOMAN = "A woman in a red coat and black trousers"


def search(page: Page, text: str, **fields: str) -> None:
    """The demo's results for a description, once all pictures in sight are there."""
    page.goto(f"/?{urlencode({'gallery': 'demo', 'text': text, **fields})}")
    page.wait_for_load_state("networkidle")


def show_results(page: Page) -> None:
    search(page, WOMAN)


def show_people(page: Page) -> None:
    search(page, WOMAN, by="person")


def show_verdict(page: Page) -> None:
    who = "a woman with blonde hair in a bun"
    search(page, f"{who}, a black leather jacket, pink leggings and white boots")


def show_marks(page: Page) -> None:
    search(page, WOMAN)
    for rank, mark in ((1, "Right"), (2, "Wrong")):
        page.locator(f"#rank-{rank}").get_by_role("button", name=mark).click()
        page.locator(f".marked .{mark.lower()} img").wait_for()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # pictures that came into sight


def show_why(page: Page) -> None:
    search(page, "a woman in a dark green top, a long grey skirt and a red cap")
    page.locator("#rank-1 a.shot").click()
    page.locator("#why .part").nth(1).hover()
    page.wait_for_load_state("networkidle")


def show_case(page: Page) -> None:
    name = "Harbour, 13 March"
    for case in page.request.get("/galleries/demo/cases").json()["cases"]:
        if case["name"] == name:  # of the last time
            page.request.delete(f"/cases/{case['id']}")
    case = page.request.post("/galleries/demo/cases", data={"name": name}).json()
    noted = {WOMAN: "Comes off the ferry.", "a man in a blue coat": "Walks with her."}
    for text, note in noted.items():
        asked = page.request.post("/search", data={"gallery": "demo", "text": text}).json()
        hit = asked["results"][0]
        found = {"by": "description", "text": text, "rank": 1, "score": hit["score"]}
        found |= {"model": asked["model"], "generation": asked["generation"]}
        body = {"image_id": hit["image_id"], "note": note, "found": found}
        page.request.post(f"/cases/{case['id']}/exhibits", data=body)
    page.goto(f"/casebook/{case['id']}")
    page.wait_for_load_state("networkidle")


def show_client(page: Page) -> None:
    """What a terminal elsewhere shows."""
    page.goto("/healthz")
    server = page.evaluate("location.origin")
    terminal = Console(record=True, width=120, file=io.StringIO())
    for words in (
        ["search", WOMAN, "-g", "demo", "-n", "3"],
        ["search", WOMAN, "-g", "demo", "-n", "2", "--group-by", "person"],
        ["galleries", "list"],
        ["audit", "verify"],
    ):
        program = Path(sys.executable).with_name("passerby")
        env = {**os.environ, "PASSERBY_SERVER": server, "COLUMNS": "120"}
        told = subprocess.run([program, *words], env=env, capture_output=True, text=True)
        terminal.print(Text(f"$ passerby {shlex.join(words)}", "bold"))
        terminal.print(Text.from_ansi(told.stdout))
    page.goto("about:blank")  # the server's own pages allow no such styles
    page.set_content(terminal.export_svg(title=f"PASSERBY_SERVER={server}"))


def show_frame(page: Page) -> None:
    """Of a demo with frames: the picture in the fullest of them."""
    found = page.request.get("/galleries/demo-frames/frames", params={"limit": 1000}).json()
    people = max((frame["people"] for frame in found["frames"]), key=len)
    page.goto(f"/pictures/{people[0]['image_id']}")
    page.wait_for_load_state("networkidle")


SHOTS: dict[str, Callable[[Page], None]] = {
    "screenshot": show_results,
    "people": show_people,
    "verdict": show_verdict,
    "marks": show_marks,
    "why": show_why,
    "frames": show_frame,
    "cases": show_case,
    "client": show_client,
}


def keep(content: bytes, target: Path) -> None:
    """As a small PNG: a palette of 128 colours is a quarter of the bytes, and nobody sees it."""
    shot = Image.open(io.BytesIO(content)).convert("RGB")
    shot.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size // 1000} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SHOTS))
    parser.add_argument("--server", default="http://127.0.0.1:8000")
    given = parser.parse_args()
    if unknown := set(given.names) - set(SHOTS):
        parser.error(f"{', '.join(unknown)}: expected some of {', '.join(SHOTS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name in given.names or SHOTS:
            page = browser.new_page(
                base_url=given.server,
                viewport={"width": 1280, "height": 800},
                color_scheme="light",
            )
            SHOTS[name](page)
            keep(page.screenshot(), Path(__file__).with_name(f"{name}.png"))
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
