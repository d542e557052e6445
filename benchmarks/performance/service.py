"""The real program as a process of its own, and clients that ask it.

    .venv/bin/python -m benchmarks.performance.service [--constant]

serves as `passerby api` does; --constant: every search gets the answer to the first one, so that
what is left is what HTTP, the gate, the request's checks and the answer's JSON cost.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.performance.filled_service import GALLERY

ROOT = Path(__file__).parents[2]
_STOP_S = 300
_ANSWERS_S = 300
_LOOK_S, _IDLE_LOOKS, _IDLE_SHARE = 5.0, 60, 0.1
_ENCODE = re.compile(rb'"encode":([\d.]+)')
_TOPS = ("coat", "jacket", "shirt", "hoodie", "vest", "pullover", "dress", "raincoat")
_COLOURS = ("red", "green", "blue", "black", "white", "grey", "brown", "yellow", "orange", "pink")


def make_texts(number: int, seed: int) -> list[str]:
    """So many different descriptions of some 28 tokens."""
    generator = random.Random(seed)
    texts: dict[str, None] = {}
    while len(texts) < number:
        colours, tops = generator.choices(_COLOURS, k=5), generator.sample(_TOPS, 2)
        text = (
            f"a {generator.choice(('man', 'woman'))} of about {generator.randrange(15, 90)} in a "
            f"{colours[0]} {tops[0]} over a {colours[1]} {tops[1]} with {colours[2]} trousers, "
            f"{colours[3]} shoes and a {colours[4]} bag"
        )
        texts[text] = None
    return list(texts)


@dataclass(frozen=True)
class Asked:
    """seconds: of each request. encode_s: how long encoding took, by each answer. wall_s: of all.
    cpu_s: of the server's processors, in the meantime."""

    seconds: Sequence[float]
    encode_s: Sequence[float]
    wall_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """Requests answered."""
        return len(self.seconds) / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """Of the server, for a request."""
        return 1000 * self.cpu_s / len(self.seconds)

    @property
    def beyond_ms(self) -> float:
        """The median of what requests took beside encoding."""
        return 1000 * float(np.median(np.subtract(self.seconds, self.encode_s)))

    def quantile_ms(self, share: float) -> float:
        """So many of the requests took at most this long."""
        return 1000 * float(np.quantile(self.seconds, share))


@dataclass(frozen=True)
class Service:
    """A program that serves: where, and its process."""

    port: int
    process_id: int

    def ask(self, texts: Sequence[str], clients: int) -> Asked:
        """POST /search for each text, by so many clients at a time with a connection each."""
        requests = [_request(self.port, text) for text in texts]
        cpu_s = self._cpu_s()
        answers, wall_s = asyncio.run(_ask_all(self.port, requests, clients))
        encode_s = [float(_ENCODE.findall(body)[-1]) / 1000 for _, body in answers]
        return Asked([took_s for took_s, _ in answers], encode_s, wall_s, self._cpu_s() - cpu_s)

    def wait_until_idle(self) -> None:
        """Until it does little but wait: a start leaves making the index quick for later.

        Gives up after minutes: then it is measured as it is.
        """
        for _ in range(_IDLE_LOOKS):
            before_s = self._cpu_s()
            time.sleep(_LOOK_S)
            if self._cpu_s() - before_s < _IDLE_SHARE * _LOOK_S:
                return

    def _cpu_s(self) -> float:
        told = Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(
    folder: Path,
    checkpoint: Path,
    *,
    constant: bool = False,
    settings: Mapping[str, str] | None = None,
    cores: str | None = None,
) -> Iterator[Service]:
    """The program over this data folder until the block is left. settings: others than its own.
    cores: those that it may use, as 0,1."""
    pinned = [] if cores is None else ["taskset", "-c", cores]
    words = [*pinned, sys.executable, "-m", "benchmarks.performance.service"]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*words, *(["--constant"] if constant else [])],
            cwd=ROOT,
            env=environment(folder, checkpoint) | dict(settings or {}),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            told = next((line for line in process.stdout if "http://" in line), "")
            if (found := re.search(r"http://[\d.]+:(\d+)", told)) is None:
                raise RuntimeError(f"the service did not start, see {log.name}")
            yield Service(int(found[1]), process.pid)
        finally:
            process.terminate()
            process.wait(_STOP_S)


def environment(folder: Path, checkpoint: Path) -> dict[str, str]:
    """No setting of the service that is at home here: that one's database is not to be asked."""
    prefix = "PASSERBY_"
    others = {name: os.environ[name] for name in os.environ if not name.upper().startswith(prefix)}
    mine = {"DATA_DIR": str(folder), "MODEL": str(checkpoint), "PORT": "0"}
    return others | {prefix + name: value for name, value in mine.items()}


def _request(port: int, text: str) -> bytes:
    body = json.dumps({"gallery": GALLERY, "text": text, "limit": 10}).encode()
    head = (
        f"POST /search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _ask_all(
    port: int, requests: Sequence[bytes], clients: int
) -> tuple[list[tuple[float, bytes]], float]:
    """Seconds and body of each answer, and the seconds of all."""
    loop = asyncio.get_running_loop()
    left = iter(requests)
    made = [_Client(left, loop.create_future()) for _ in range(clients)]
    started = time.perf_counter()
    for client in made:
        await loop.create_connection(partial(_itself, client), "127.0.0.1", port)
    await asyncio.wait_for(asyncio.gather(*(client.ended for client in made)), _ANSWERS_S)
    wall_s = time.perf_counter() - started
    answers = [answer for client in made for answer in client.answers]
    assert len(answers) == len(requests)
    return answers, wall_s


class _Client(asyncio.Protocol):
    """One connection that is kept; the next request goes out when the answer is whole.

    No client of a library: those take as long over a request as the server does, on its cores.
    """

    def __init__(self, requests: Iterator[bytes], ended: asyncio.Future[None]) -> None:
        self.requests, self.ended = requests, ended
        self.answers: list[tuple[float, bytes]] = []
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) == size:
            took_s = time.perf_counter() - self.asked_at
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(self.received.decode())
            self.answers.append((took_s, body))
            self.received = b""
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)

    def _ask(self) -> None:
        if (request := next(self.requests, None)) is None:
            self.transport.close()
            return
        self.asked_at = time.perf_counter()
        self.transport.write(request)


def _itself(client: _Client) -> _Client:
    return client


def answer_the_same() -> None:
    """The route gives the answer to the first search to all that follow."""
    from app.routes import search

    name = "search_on_record"
    real = getattr(search, name)
    kept: list[object] = []

    def search_once(*arguments: object) -> object:
        if not kept:
            kept.append(real(*arguments))
        return kept[0]

    setattr(search, name, search_once)


def main() -> None:
    from app.commands.server import run_server, run_servers
    from app.settings import load_settings

    if "--constant" in sys.argv[1:]:
        answer_the_same()
    settings = load_settings()
    if settings.processes > 1:
        run_servers(settings)
    else:
        run_server(settings, with_worker=False)


if __name__ == "__main__":
    main()
