"""The program as a process of its own, to be stopped and killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 120
QUICK = (
    "import app.wiring, app.cli; from tests.conftest import ColourEncoder; "
    "app.wiring.load_encoder = lambda _: ColourEncoder(); app.cli.main()"
)


class Program:
    """`passerby` with these arguments. model: a checkpoint folder; None: the colour encoder."""

    def __init__(self, *words: str, data_dir: Path, model: Path | None = None) -> None:
        code = ["-m", "app.cli"] if model else ["-W", "ignore", "-c", QUICK]
        environment = {
            **os.environ,
            "PASSERBY_DATA_DIR": str(data_dir),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
        }
        if model:
            environment["PASSERBY_MODEL"] = str(model)
        self.process = subprocess.Popen(
            [sys.executable, *code, *words],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_url(self) -> str:
        """Where it listens, as soon as it says so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://[\d.]+:\d+", line):
                return found[0]
        raise AssertionError(f"it ended without serving: {self.finish()}")

    def finish(self, timeout_s: float = START_TIMEOUT_S) -> tuple[int, str, str]:
        """Exit code, stdout and stderr, once it has ended."""
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, float]:
        """Exit code, stderr, and the seconds that stopping took."""
        started = time.monotonic()
        self.process.send_signal(number)
        code, _, err = self.finish(30)
        return code, err, time.monotonic() - started


@contextmanager
def program(*words: str, data_dir: Path, model: Path | None = None) -> Iterator[Program]:
    """One that is surely gone when the block is left."""
    started = Program(*words, data_dir=data_dir, model=model)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.communicate()
