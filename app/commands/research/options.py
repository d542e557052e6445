"""What the research commands share: options, and the bar while people are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from app.commands.progress import progress_bar

PANEL = "Train and measure a model"

Root = Annotated[Path, typer.Option("--root", help="Folder where datasets are kept.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")]


@contextmanager
def drawing_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar of people drawn; nothing where none has to be."""
    with progress_bar() as progress:
        task = None

        def on_progress(done: int, total: int) -> None:
            nonlocal task
            if task is None or done == 1:
                task = progress.add_task("Drawing", total=total)
            progress.update(task, completed=done)

        yield on_progress
