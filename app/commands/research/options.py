"""What the research commands share: options, and the bar while people are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.commands.progress import progress_bar
from app.errors import CommandError

PANEL = "Train and measure a model"

Root = Annotated[Path, typer.Option("--root", help="Folder where datasets are kept.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")]


OnProgress = Callable[[int, int], None]
"""Told how many are done, and of how many."""


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """What the model package finds wrong, or a disk, as a command's error. Raises CommandError."""
    from model.errors import ModelError

    try:
        yield
    except (ModelError, ValueError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise CommandError(f"{where}{error.strerror or error}") from error


@contextmanager
def counting_bars() -> Iterator[Callable[[str], OnProgress]]:
    """Bars by title, a new one whenever a count starts again; on stderr, apart from results."""
    with progress_bar(Console(stderr=True)) as progress:

        def bar(title: str) -> OnProgress:
            task, last = None, 0

            def on_progress(done: int, total: int) -> None:
                nonlocal task, last
                if task is None or done <= last:
                    task = progress.add_task(title, total=total)
                progress.update(task, completed=done)
                last = done

            return on_progress

        yield bar


@contextmanager
def drawing_bar() -> Iterator[OnProgress]:
    """A bar of people drawn; nothing where none has to be."""
    with counting_bars() as bar:
        yield bar("Drawing")
