"""How far a long job is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from app.frames.schemas import FrameDetail, FrameTotals
from indexer.catalogue import Catalogue
from indexer.frames.catalogue import Frame, FrameCounts, Frames
from indexer.frames.worker import FrameWorker
from indexer.work.worker import Worker

IDLE_S = 0.2
LOOK_EVERY_S = 0.5  # on a server
MAX_LISTED = 20

console = Console()


class Rate(ProgressColumn):
    """Things a second: the task's field `rate` where it has one, else as the bar moves."""

    def render(self, task: Task) -> Text:
        """`123/s`, or nothing yet."""
        speed = task.fields.get("rate") or task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="cyan")


def progress_bar(shown_on: Console = console) -> Progress:
    """What, bar, done of all, rate, time left."""
    return Progress(
        TextColumn("{task.description:<9}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=shown_on,
    )


def look_through(frames: Frames, worker: FrameWorker, gallery: str) -> None:
    """Look for people until no frame of the gallery is pending, with a bar; what was found."""
    total = frames.counts(gallery).pending
    with progress_bar() as progress:
        task = progress.add_task("Looking", total=total)
        while (pending := frames.counts(gallery).pending) > 0:
            progress.update(task, completed=max(total - pending, 0))
            if not worker.run_once():
                time.sleep(IDLE_S)  # another worker has the rest, or they wait for a new attempt
        progress.update(task, completed=total)
    show_found(gallery, frames.counts(gallery), frames.list(gallery, "failed", limit=MAX_LISTED))


def show_found(
    gallery: str, counts: FrameCounts | FrameTotals, failed: Iterable[Frame | FrameDetail]
) -> None:
    """How many people are in a gallery's frames, and where nobody could look."""
    console.print(
        f"Frames of {gallery}: {counts.done:,} looked at, {counts.failed:,} failed, "
        f"{counts.people:,} people in them",
        highlight=False,
    )
    for frame in failed:
        told = f"  {frame.file_name} (frame {frame.id}): {frame.reason}"
        console.print(told, style="yellow", markup=False, highlight=False)


def wait_for(what: str, count_pending: Callable[[], int]) -> None:
    """Until others have left nothing pending, with a bar."""
    total = pending = count_pending()
    if not total:
        return
    with progress_bar() as progress:
        task = progress.add_task(what, total=total)
        while pending:
            time.sleep(LOOK_EVERY_S)
            pending = count_pending()
            total = max(total, pending)
            progress.update(task, total=total, completed=total - pending)


def embed_pending(catalogue: Catalogue, worker: Worker, gallery: str) -> None:
    """Work until nothing of the gallery is pending, here or in another process, with a bar."""
    total = catalogue.gallery(gallery).counts.pending
    if total == 0:
        return
    done = threading.Event()
    with progress_bar() as progress:
        task = progress.add_task("Indexing", total=total)

        def look() -> None:
            pending = catalogue.gallery(gallery).counts.pending
            progress.update(task, total=max(total, pending), completed=max(total - pending, 0))
            if pending == 0:
                done.set()

        while not done.is_set():
            claimed = worker.drain(done, look)
            look()
            if claimed == 0 and not done.is_set():
                time.sleep(IDLE_S)  # another worker has the rest, or they wait for a new attempt
