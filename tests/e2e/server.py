"""A really running Passerby: database, storage, worker, live index, and HTTP on a free port."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from app.main import create_app
from app.services import Services
from app.settings import Settings
from app.wiring import Encoder, build_services, build_worker

TIMEOUT_S = 20

SentFile = tuple[str, bytes, dict[str, object]]  # name, content, metadata


class Server:
    """One that can be stopped and started again on the same port and data."""

    def __init__(
        self,
        data_dir: Path,
        encoder: Encoder,
        *,
        with_worker: bool = True,
        detector: str | None = None,
    ) -> None:
        self.settings = Settings(data_dir=data_dir, detector=detector)
        self.encoder = encoder
        self.with_worker = with_worker
        self.port = 0
        self.services: Services

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.services = build_services(
            self.settings, with_worker=self.with_worker, encoder=self.encoder
        )
        app = create_app(self.settings, self.services)
        config = uvicorn.Config(app, port=self.port, log_level="warning", access_log=False)
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, name="uvicorn", daemon=True)
        self._thread.start()
        wait_until(lambda: self._uvicorn.started, "the server has started")
        self.port = self._uvicorn.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), "the server did not stop"

    def fill(self, gallery: str, files: Iterable[SentFile]) -> None:
        """Make `gallery` of (name, bytes, metadata), through the API; waits until all are done."""
        self.post_files(gallery, files)
        self.wait_until_indexed(gallery)

    def post_files(self, gallery: str, files: Iterable[SentFile]) -> None:
        files = list(files)
        made = httpx.post(f"{self.url}/galleries", json={"name": gallery}, timeout=TIMEOUT_S)
        made.raise_for_status()
        if not files:
            return
        httpx.post(
            f"{self.url}/galleries/{gallery}/images",
            files=[("files", (name, content)) for name, content, _ in files],
            data={"metadata": json.dumps({name: known for name, _, known in files})},
            timeout=TIMEOUT_S,
        ).raise_for_status()

    def fill_frames(self, gallery: str, frames: Sequence[bytes]) -> None:
        """Make `gallery` of the people in these whole frames, through the API."""
        self.post_files(gallery, [])
        files = [("files", (f"frame-{n}.png", frame)) for n, frame in enumerate(frames)]
        sent = httpx.post(f"{self.url}/galleries/{gallery}/frames", files=files, timeout=TIMEOUT_S)
        sent.raise_for_status()
        looked_at = self.services.catalogue.frames
        wait_until(lambda: looked_at.counts(gallery).pending == 0, "every frame was looked at")
        self.wait_until_indexed(gallery)

    def work(self) -> None:
        """Do what the worker would, for a server without one."""
        catalogue, store = self.services.catalogue, self.services.store
        while build_worker(self.settings, catalogue, store, self.encoder).run_once():
            pass

    def wait_until_indexed(self, gallery: str) -> None:
        def no_longer_pending() -> bool:
            return self.services.catalogue.gallery(gallery).counts.pending == 0

        wait_until(no_longer_pending, f"every picture of {gallery} is indexed")
        self.services.model.live_index.catch_up()


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Poll until `condition()` holds; AssertionError saying `what` did not come true."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"after {timeout_s} s it is not so that {what}")


@contextmanager
def running_server(
    data_dir: Path, encoder: Encoder, *, with_worker: bool = True, detector: str | None = None
) -> Iterator[Server]:
    server = Server(data_dir, encoder, with_worker=with_worker, detector=detector)
    server.start()
    try:
        yield server
    finally:
        server.stop()
