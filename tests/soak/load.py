"""Clients that upload, search and delete until they are told, and know what must be there then.

Every request is repeated until it is answered for good, so in the end nothing is uncertain.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from tests.conftest import Pictures

GALLERY = "street"
NUM_CAMERAS = 50
COLOURS = ("red", "green", "blue", "white", "black", "yellow", "grey", "purple", "orange", "pink")
_RETRY_S = 0.2
_OUTAGES = (503, 507)


class Client:
    """One sequence of requests, and the pictures that it alone puts in and takes out.

    present: by number of the picture, its id. Numbers are those that leave `place` as the
    remainder when divided by `num_clients`.
    """

    def __init__(self, url: str, seed: int, place: int, num_clients: int) -> None:
        self.present: dict[int, int] = {}
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._gone: list[int] = []
        self._random = random.Random(seed * 1000 + place)
        self._next, self._step = place, num_clients
        self._http = httpx.Client(base_url=url, timeout=30)
        self._other = ThreadPoolExecutor(1)

    def act(self) -> None:
        """Do one thing, to the end."""
        dice = self._random.random()
        if dice < 0.3:
            self.search()
        elif dice < 0.45 and self.present:
            self._delete(self._random.choice(list(self.present)))
        elif dice < 0.55:
            self._upload_twice_at_once(self._new_number())
        else:
            self._upload([self._new_number() for _ in range(self._random.randint(1, 4))])

    def search(self) -> None:
        """Ask for what hardly anybody asked before."""
        text = f"a {self._random.choice(COLOURS)} coat {self._random.randrange(10_000)}"
        self._ask("POST", "/search", json={"gallery": GALLERY, "text": text, "limit": 20})
        self.counts["searches"] += 1

    def _new_number(self) -> int:
        """Now and then one that is there, or was."""
        dice = self._random.random()
        if dice < 0.15 and self.present:
            self.counts["duplicates sent"] += 1
            return self._random.choice(list(self.present))
        if dice < 0.25 and self._gone:
            return self._gone.pop(self._random.randrange(len(self._gone)))
        self._next += self._step
        return self._next

    def _upload(self, numbers: list[int]) -> None:
        """Those that an outage refused are sent again."""
        while numbers:
            results = self._send(numbers)
            refused = [
                number for number in numbers if results[f"{number}.png"]["status"] == "refused"
            ]
            for number in set(numbers) - set(refused):
                self._keep(number, results[f"{number}.png"]["image_id"])
            numbers = refused
            if numbers:
                time.sleep(_RETRY_S)

    def _upload_twice_at_once(self, number: int) -> None:
        twin = self._other.submit(self._send, [number])
        first = self._send([number])[f"{number}.png"]
        second = twin.result()[f"{number}.png"]
        self.counts["duplicates sent"] += 1
        for result in (first, second):
            if result["status"] != "refused":
                self._keep(number, result["image_id"])
        if number not in self.present:
            self._upload([number])

    def _send(self, numbers: list[int]) -> dict[str, Any]:
        """One upload; by file name, what became of each."""
        files = [("files", (f"{number}.png", Pictures().noise(number))) for number in set(numbers)]
        about = {f"{number}.png": {"camera": camera_of(number)} for number in numbers}
        answer = self._ask(
            "POST", f"/galleries/{GALLERY}/images", files=files, data={"metadata": _json(about)}
        )
        return {result["file_name"]: result for result in answer.json()["results"]}

    def _keep(self, number: int, image_id: int) -> None:
        known = self.present.setdefault(number, image_id)
        if known != image_id:
            self.wrong.append(f"picture {number} is image {known} and {image_id}")
        self.counts["uploads acknowledged"] += 1

    def _delete(self, number: int) -> None:
        """404 is right only for a repetition, where the first answer was lost."""
        self._ask("DELETE", f"/images/{self.present[number]}", when_repeated=404)
        del self.present[number]
        self._gone.append(number)
        self.counts["deletions acknowledged"] += 1

    def _ask(self, method: str, path: str, when_repeated: int = 0, **what: Any) -> httpx.Response:
        for attempt in itertools.count():
            try:
                answer = self._http.request(method, path, **what)
            except httpx.TransportError:
                self.counts["requests cut off"] += 1
            else:
                if answer.is_success or (attempt and answer.status_code == when_repeated):
                    return answer
                self.counts[f"answers {answer.status_code}"] += 1
                if answer.status_code not in _OUTAGES:
                    break
            time.sleep(_RETRY_S)
        raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")


@contextmanager
def load(clients: list[Client], pause_s: float) -> Iterator[None]:
    """Each client acts, and pauses, until the block is left; what they began they end."""
    left = threading.Event()

    def run(client: Client) -> None:
        try:
            while not left.wait(pause_s):
                client.act()
        except Exception as error:
            client.wrong.append(repr(error))

    threads = [threading.Thread(target=run, args=(client,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        left.set()
        for thread, client in zip(threads, clients, strict=True):
            thread.join(120)
            if thread.is_alive():
                client.wrong.append("a request was never answered")


def camera_of(number: int) -> str:
    """Cameras part a gallery into sets that one search can show whole."""
    return f"camera-{number % NUM_CAMERAS}"


def search_everything(url: str) -> dict[int, float]:
    """Every picture that searching finds, camera by camera, with its score."""
    found: dict[int, float] = {}
    with httpx.Client(base_url=url, timeout=30) as http:
        for number in range(NUM_CAMERAS):
            filters = {"cameras": [camera_of(number)]}
            question = {"gallery": GALLERY, "text": "red", "limit": 1000, "filters": filters}
            results = http.post("/search", json=question).raise_for_status().json()["results"]
            assert len(results) < 1000, "more than a search shows"
            for result in results:
                assert result["image_id"] not in found
                found[result["image_id"]] = result["score"]
    return found


def wait_for(happened: Callable[[], bool], timeout_s: float, what: str) -> float:
    """The seconds it took; fails when it has not happened in time."""
    started = time.monotonic()
    while not happened():
        assert time.monotonic() - started < timeout_s, what
        time.sleep(0.2)
    return time.monotonic() - started


def _json(document: object) -> str:
    return httpx.Request("POST", "http://any", json=document).content.decode()
