"""What a map of many pictures costs: to draw, to fetch, to show, and searches meanwhile.

    .venv/bin/python benchmarks/map_page.py --sizes 10000 100000 --out runs/map-page

Serves a gallery of made-up vectors whose pictures have rows but no bytes, so no thumbnail loads. A
browser opens the map's page, zooms by 20 steps of the wheel and drags by 20: "draw" is what one
drawing of the canvas takes in its script, "frame" the time between frames meanwhile. Searches are
asked one after the other, before the map is drawn and while it is. Prints tables and writes
map-page.json under --out.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import insert

from app.loading import load_encoder
from app.settings import Settings
from indexer import change_log
from indexer.catalogue import Catalogue
from indexer.database.migrate import upgrade
from indexer.maps.layout import lay_out
from indexer.storage.object_store import ObjectStore
from indexer.tables import embeddings, images

MAP = "/galleries/crowd/map"
ROWS = 5_000
DRAWN = "performance.getEntriesByName('map-draw', 'measure').map((entry) => entry.duration)"
FRAMES = """void (window.frameTimes = new Promise((done) => {
    const times = [];
    const step = (now) => {
        times.push(now);
        if (window.stopFrames) done(times);
        else requestAnimationFrame(step);
    };
    window.stopFrames = false;
    requestAnimationFrame(step);
}))"""


@dataclass(frozen=True)
class Costs:
    """drawing_s: from asking to done, of a map drawn by the service. fetch_s: of the points by
    HTTP. sent_kb: as sent. shown_s: from opening the page to the first drawing. The others: median
    and 95th of a hundred, in ms."""

    pictures: int
    drawing_s: float
    fetch_s: float
    sent_kb: float
    shown_s: float
    draw_ms: tuple[float, float]
    frame_ms: tuple[float, float]
    search_ms: tuple[float, float]
    search_while_drawing_ms: tuple[float, float] | None


def fill(settings: Settings, model: str, vectors_ND: NDArray[np.float16]) -> None:
    """Searchable pictures with these vectors, by eight cameras over a day."""
    upgrade(settings.database)
    ObjectStore(settings.storage).put_archive("0" * 32, io.BytesIO(b"no picture has bytes here"))
    catalogue = Catalogue(settings.database)
    gallery_id = catalogue.create_gallery("crowd").id
    now = catalogue.gallery("crowd").created_at
    for start in range(0, len(vectors_ND), ROWS):
        numbers = range(start + 1, min(start + ROWS, len(vectors_ND)) + 1)
        rows = [_row(number, gallery_id, now) for number in numbers]
        with catalogue.database.write() as connection:
            connection.execute(insert(images), rows)
            vectors = [
                {"image_id": n, "model": model, "vector": vectors_ND[n - 1].tobytes()}
                for n in numbers
            ]
            connection.execute(insert(embeddings), vectors)
            added: list[tuple[int, int | None, change_log.Op, str | None]] = [
                (gallery_id, number, "add", model) for number in numbers
            ]
            change_log.append(catalogue.database, connection, added)
    catalogue.close()


def _row(number: int, gallery_id: int, now: object) -> dict[str, object]:
    return {
        "id": number,
        "gallery_id": gallery_id,
        "sha256": f"{number:064x}",
        "crop": "",
        "file_name": f"{number}.jpg",
        "content_type": "image/jpeg",
        "size_bytes": 1,
        "width_px": 64,
        "height_px": 192,
        "camera": f"camera-{number % 8}",
        "captured_at": now,
        "tags": [],
        "state": "searchable",
        "created_at": now,
        "embedded_at": now,
        "claimable_at": now,
    }


def time_searches(http: httpx.Client, go_on: Callable[[int], bool]) -> tuple[float, float]:
    """Median and 95th in ms, of descriptions that were not asked before."""
    times: list[float] = []
    while go_on(len(times)):
        text = f"a woman in a red coat with bag number {time.monotonic_ns()}"
        started = time.perf_counter()
        http.post("/search", json={"gallery": "crowd", "text": text}).raise_for_status()
        times.append(1000 * (time.perf_counter() - started))
        time.sleep(0.02)
    return spread(times)


def spread(times: Sequence[float]) -> tuple[float, float]:
    return float(np.median(times)), float(np.percentile(times, 95))


def show(url: str) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """(shown_s, draw_ms, frame_ms) in Chromium."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        started = time.perf_counter()
        page.goto(f"{url}/map?gallery=crowd")
        while (
            len(page.evaluate(DRAWN)) == 0
        ):  # wait_for_function needs what the page's policy forbids
            page.wait_for_timeout(10)
        shown_s = time.perf_counter() - started
        frames = move(page)
        drawn = page.evaluate(DRAWN)
        browser.close()
    return shown_s, spread(drawn[1:]), spread(frames)


def move(page: Page) -> list[float]:
    """Zoom in and out and drag; milliseconds between the frames meanwhile."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.evaluate(FRAMES)
    for way in (-1, 1):
        for _ in range(10):
            page.mouse.wheel(0, 60 * way)
            page.wait_for_timeout(30)
    page.mouse.down()
    for step in range(20):
        page.mouse.move(x + 4 * step, y + 2 * step)
        page.wait_for_timeout(30)
    page.mouse.up()
    page.evaluate("window.stopFrames = true")
    times = page.evaluate("window.frameTimes")
    between: list[float] = np.diff(times).tolist()
    return between


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Where `passerby serve` answers, in a process of its own."""
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data-dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = (re.search(r"http://[\d.]+:\d+", line) for line in process.stdout)
            yield next(filter(None, found))[0]
        finally:
            process.terminate()


def draw_here(settings: Settings, model: str, max_fitted: int) -> None:
    """A quick map, from a small sample, in this process."""
    catalogue = Catalogue(settings.database)
    catalogue.maps.create("crowd", model, 30.0, 0)
    lease = catalogue.maps.work.claim(3600.0)
    assert lease is not None
    ids_N, vectors_ND = catalogue.maps.work.read(lease)
    layout = lay_out(vectors_ND, 30.0, 0, max_fitted=max_fitted)
    catalogue.maps.work.save(lease, ids_N, layout)
    catalogue.close()


def measure(
    folder: Path, model: str, vectors_ND: NDArray[np.float16], max_fitted: int | None
) -> Costs:
    """One size, in a folder of its own."""
    settings = Settings(data_dir=folder)
    fill(settings, model, vectors_ND)
    if max_fitted is not None:
        draw_here(settings, model, max_fitted)
    with serving(folder) as url:
        with httpx.Client(base_url=url, timeout=120) as http:
            alone = time_searches(http, lambda done: done < 100)
            started = time.perf_counter()
            meanwhile = None
            if max_fitted is None:
                http.post(MAP, json={}).raise_for_status()
                meanwhile = time_searches(http, lambda _: is_drawing(http))
            drawing_s = time.perf_counter() - started
            started = time.perf_counter()
            points = http.get(f"{MAP}/points").raise_for_status()
            fetch_s = time.perf_counter() - started
        shown_s, draw_ms, frame_ms = show(url)
    sent_kb = len(gzip.compress(points.content, 4)) / 1000
    return Costs(
        len(vectors_ND), drawing_s, fetch_s, sent_kb, shown_s, draw_ms, frame_ms, alone, meanwhile
    )


def is_drawing(http: httpx.Client) -> bool:
    told = http.get(MAP).raise_for_status().json()
    assert told["state"] in ("waiting", "running", "done"), told
    return bool(told["state"] != "done")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 100_000])
    parser.add_argument(
        "--fitted", type=int, help="draw the map here, from a sample of so many, to see its page"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/map-page"))
    given = parser.parse_args(arguments)
    encoder = load_encoder(Settings(model="small"))
    rows = []
    for size in given.sizes:
        made = np.random.default_rng(0).normal(size=(size // 4, encoder.dim)).repeat(4, axis=0)
        made += 0.5 * np.random.default_rng(1).normal(size=made.shape)
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        with tempfile.TemporaryDirectory() as folder:
            found = measure(
                Path(folder), encoder.fingerprint, made.astype(np.float16), given.fitted
            )
        rows.append(asdict(found))
        print(json.dumps(rows[-1]), flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "map-page.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
