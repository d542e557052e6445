"""A model switch in front of searches that never stop: real processes, clients that page, pictures
that come and go, and every answer compared with what one model alone makes of it."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.catalogue import Catalogue
from indexer.database.migrate import upgrade
from indexer.pictures.decode import decode
from tests.app.files import COLOURS
from tests.colours import COARSE, GRID, CoarseColours
from tests.conftest import ColourEncoder
from tests.postgresql import free_port

ROOT = Path(__file__).parents[1]
GALLERY = "street"
TEXTS = ("red over blue", "green", "blue over green", "a red coat", "grey over red")
TOLD_S = 1.0  # so long after the API called a picture searchable every index has it
START_S = 90.0
CLOSE = 2e-5
_UNKEPT = httpx.Limits(max_keepalive_connections=0)

Encoders = Mapping[str, Any]
STUBS: Encoders = {one.fingerprint: one for one in (ColourEncoder(), CoarseColours())}


@dataclass
class Fleet:
    """Processes of the program on one database. urls: of those that answer searches."""

    urls: list[str]
    database_url: str

    def keep(self, encoder: Any, name: str) -> None:
        """As `passerby models keep` does; a program of its own costs seconds."""
        catalogue = Catalogue(self.database_url)
        catalogue.models.keep(encoder.fingerprint, name, encoder.dim)
        catalogue.close()


@contextmanager
def fleet(
    folder: Path, database_url: str, commands: Sequence[str], first: Any, name: str = GRID
) -> Iterator[Fleet]:
    """`serve`, or several `api` and `worker`, ready; gone when the block is left.

    first: the encoder of the model that is served to begin with, which `name` loads.
    """
    environment = {
        **os.environ,
        "PASSERBY_DATA_DIR": str(folder / "data"),
        "PASSERBY_DATABASE_URL": database_url,
        "OMP_NUM_THREADS": "1",
    }
    upgrade(database_url)
    here = Fleet([], database_url)
    here.keep(first, name)
    processes: list[subprocess.Popen[bytes]] = []
    urls: dict[str, str] = {}
    try:
        for number, command in enumerate(commands):
            port = free_port()
            flag = "--metrics-port" if command == "worker" else "--port"
            words = [sys.executable, "-m", "app.cli", command, flag, str(port)]
            with (folder / f"{number}-{command}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log)
                )
            urls[f"http://127.0.0.1:{port}"] = command
        _wait_until(lambda: all(map(_is_ready, urls)))
        here.urls += [url for url, command in urls.items() if command != "worker"]
        yield here
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


@dataclass
class Record:
    """What was seen. faults: each would be a broken promise."""

    faults: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    took_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    outdated: int = 0
    exhaustive: int = 0
    phase: str = "before"
    dropped: str | None = None

    def quantile_ms(self, phase: str, share: float) -> float:
        """Of the time that searches of this phase took."""
        ordered = sorted(self.took_s[phase])
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Pictures:
    """Those that were put in, and what each model makes of them. Thread-safe."""

    def __init__(self, encoders: Encoders) -> None:
        self.encoders = encoders
        self._lock = threading.Lock()
        self._content: dict[str, bytes] = {}
        self._vectors: dict[tuple[str, str], NDArray[np.float32]] = {}
        self._queries: dict[tuple[str, str], NDArray[np.float32]] = {}
        self.searchable_at: dict[str, float] = {}
        self.gone: set[str] = set()  # also those that are about to be

    def add(self, name: str, content: bytes) -> None:
        with self._lock:
            self._content[name] = content

    def due(self) -> set[str]:
        """Those that every search that begins now must find, if it asks for all."""
        now = time.monotonic()
        with self._lock:
            told = {name for name, at in self.searchable_at.items() if now - at > TOLD_S}
            return told - self.gone

    def score(self, model: str, text: str, name: str) -> float:
        """Of this model alone."""
        with self._lock:
            encoder = self.encoders[model]
            if (model, name) not in self._vectors:
                pixels_HW3 = decode(io.BytesIO(self._content[name]), encoder.image_size)
                vector_D = encoder.encode_image(pixels_HW3[None])[0]
                self._vectors[model, name] = vector_D.astype(np.float16).astype(np.float32)
            if (model, text) not in self._queries:
                self._queries[model, text] = encoder.encode_text([text])[0]
            return float(self._vectors[model, name] @ self._queries[model, text])


class Searcher:
    """Asks at a steady rate, page after page, each time another process."""

    def __init__(
        self,
        urls: Sequence[str],
        pictures: Pictures,
        record: Record,
        texts: Sequence[str] = TEXTS,
        *,
        seed: int = 0,
        every_s: float = 0.05,
        close: float = CLOSE,
    ) -> None:
        self._urls, self._pictures, self._record = urls, pictures, record
        self._texts, self._every_s, self._close = texts, every_s, close
        self._random = random.Random(seed)

    def run(self, stop: threading.Event) -> None:
        # A connection each: a server may close one that is kept at the moment it is used again.
        with httpx.Client(timeout=60, limits=_UNKEPT) as http:
            while not stop.wait(self._every_s):
                try:
                    self._search(http, *self._random.choice([(5, 3), (5, 3), (5, 3), (100, 1_000)]))
                except Exception as error:
                    self._record.faults.append(f"{type(error).__name__}: {error}")

    def _search(self, http: httpx.Client, limit: int, num_pages: int) -> None:
        """Up to so many pages; with no end, all pictures must be there."""
        text, due, found = self._random.choice(self._texts), self._pictures.due(), list[str]()
        body: dict[str, Any] = {"gallery": GALLERY, "text": text, "limit": limit}
        model = None
        for _ in range(num_pages):
            phase, began = self._record.phase, time.perf_counter()
            url = self._random.choice(self._urls)
            answer = http.post(f"{url}/search", json=body)
            if self._is_outdated(answer, model):
                return
            assert answer.status_code == 200, answer.text
            self._record.took_s[phase].append(time.perf_counter() - began)
            told = answer.json()
            model = model or told["model"]
            assert told["model"] == model, f"a page by {told['model']} in a search by {model}"
            self._require_scores(model, text, told["results"])
            self._record.answers[model] += 1
            found += [hit["file_name"] for hit in told["results"]]
            if told["next_cursor"] is None:
                break
            body["cursor"] = told["next_cursor"]
        assert len(found) == len(set(found)), "a picture came twice"
        if num_pages == 1_000:
            missing = due - set(found) - self._pictures.gone
            assert not missing, f"searchable, and not found by {model}: {sorted(missing)[:5]}"
            self._record.exhaustive += 1

    def _is_outdated(self, answer: httpx.Response, model: str | None) -> bool:
        """A page of a search that began with a model that was dropped since."""
        is_it = answer.status_code == 409 and answer.json()["code"] == "cursor_outdated"
        if is_it:
            assert model is not None and model == self._record.dropped, answer.text
            self._record.outdated += 1
        return is_it

    def _require_scores(self, model: str, text: str, hits: Sequence[Mapping[str, Any]]) -> None:
        scores = [hit["score"] for hit in hits]
        assert scores == sorted(scores, reverse=True)
        for hit in hits:
            alone = self._pictures.score(model, text, hit["file_name"])
            off = abs(hit["score"] - alone)
            assert off < self._close, f"{hit['file_name']} by {model}: {hit['score']}, not {alone}"


class Feeder:
    """Puts pictures in, looks until the API calls them searchable, and takes some out again."""

    def __init__(
        self,
        url: str,
        pictures: Pictures,
        record: Record,
        make: Callable[[int], bytes] | None = None,
        *,
        every_s: float = 0.1,
    ) -> None:
        self._url, self._pictures, self._record = url, pictures, record
        self._make = make or _make_plain
        self._every_s = every_s
        self._ids: dict[str, int] = {}
        self._waiting: set[str] = set()
        self._number = 0
        self._random = random.Random(1)

    def put(self, http: httpx.Client, number: int) -> None:
        """So many new ones."""
        files = []
        for _ in range(number):
            name, content = f"{self._number}.png", self._make(self._number)
            self._number += 1
            self._pictures.add(name, content)
            files.append(("files", (name, content)))
        answer = http.post(f"{self._url}/galleries/{GALLERY}/images", files=files)
        assert answer.status_code == 202, answer.text
        for result in answer.json()["results"]:
            self._ids[result["file_name"]] = result["image_id"]
            self._waiting.add(result["file_name"])

    def look(self, http: httpx.Client) -> bool:
        """Note which are searchable; whether all are."""
        for name in list(self._waiting):
            if http.get(f"{self._url}/images/{self._ids[name]}").json()["state"] == "searchable":
                self._waiting.discard(name)
                self._pictures.searchable_at[name] = time.monotonic()
        return not self._waiting

    def run(self, stop: threading.Event) -> None:
        with httpx.Client(timeout=60, limits=_UNKEPT) as http:
            while not stop.wait(self._every_s):
                try:
                    self.put(http, 1)
                    self.look(http)
                    if self._random.random() < 0.3:
                        self._delete(http)
                except Exception as error:
                    self._record.faults.append(f"feeding: {type(error).__name__}: {error}")

    def _delete(self, http: httpx.Client) -> None:
        name = self._random.choice([*self._pictures.searchable_at.keys() - self._pictures.gone])
        self._pictures.gone.add(name)
        http.delete(f"{self._url}/images/{self._ids[name]}").raise_for_status()


def switch_under_load(
    here: Fleet,
    pictures: Pictures,
    *,
    old: str,
    new: str,
    name: str = COARSE,
    num_pictures: int = 60,
    num_searchers: int = 3,
    phase_s: float = 0.7,
    make: Callable[[int], bytes] | None = None,
    texts: Sequence[str] = TEXTS,
    every_s: float = 0.05,
    close: float = CLOSE,
) -> Record:
    """Keep, switch, roll back, switch again, drop; what searchers and feeder saw meanwhile.

    old, new: fingerprints of the model that is served, and of the one that `name` loads.
    """
    record, stop = Record(), threading.Event()
    url = here.urls[0]
    feeder = Feeder(url, pictures, record, make)
    with httpx.Client(timeout=60) as http:
        http.post(f"{url}/galleries", json={"name": GALLERY}).raise_for_status()
        for _ in range(0, num_pictures, 50):
            feeder.put(http, min(50, num_pictures))
        _wait_until(lambda: feeder.look(http), 600)
        searchers = [
            Searcher(here.urls, pictures, record, texts, seed=n, every_s=every_s, close=close)
            for n in range(num_searchers)
        ]
        jobs = [threading.Thread(target=one.run, args=(stop,)) for one in (*searchers, feeder)]
        for job in jobs:
            job.start()
        try:
            _go_through(here, http, record, phase_s, old, pictures.encoders[new], name)
        finally:
            stop.set()
            for job in jobs:
                job.join()
        _wait_until(lambda: feeder.look(http))
    return record


def _go_through(
    here: Fleet,
    http: httpx.Client,
    record: Record,
    phase_s: float,
    old: str,
    encoder: Any,
    name: str,
) -> None:
    url, new = here.urls[-1], encoder.fingerprint
    time.sleep(phase_s)
    record.phase = "embedding"
    here.keep(encoder, name)
    _wait_until(lambda: _is_servable(http, url, new), 3_600)
    for phase, path in (
        ("switched", f"/models/{new}/serve"),
        ("rolled back", "/models/rollback"),
        ("switched again", f"/models/{new}/serve"),
    ):
        served = _serve(http, f"{url}{path}")
        record.phase = phase
        assert served == (old if phase == "rolled back" else new)
        time.sleep(phase_s)
    record.dropped, record.phase = old, "dropped"
    assert http.delete(f"{url}/models/{old}").status_code == 204
    time.sleep(phase_s)


def _serve(http: httpx.Client, url: str) -> str:
    """A picture that came a moment ago, without the vector of the model, is a reason to wait."""
    while True:
        answer = http.post(url)
        if answer.status_code == 200:
            return str(answer.json()["fingerprint"])
        assert answer.json()["code"] in ("model_incomplete", "model_not_ready"), answer.text
        time.sleep(0.05)


def _is_servable(http: httpx.Client, url: str, fingerprint: str) -> bool:
    kept = {one["fingerprint"]: one for one in http.get(f"{url}/models").json()["models"]}
    return bool(kept[fingerprint]["is_complete"] and not kept[fingerprint]["not_ready"])


def _make_plain(number: int) -> bytes:
    """Every number other bytes and, a little, another look."""
    image = Image.new("RGB", (32, 64), tuple(COLOURS.values())[number % 3])
    image.putpixel((number % 32, number // 32 % 64), (number // 2048 % 256, 128, 128))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _wait_until(check: Callable[[], bool], timeout_s: float = START_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)
