"""The log: text or JSON lines on stderr, each with the id of the request it belongs to.

What people search for, what their pictures are called and their keys are never in it. Our own
messages name none of them; the messages of other libraries' exceptions might, so an exception in
a request is logged by its type and where it came from alone, unless `log_queries` is set.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
import traceback
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from queue import Full, Queue
from typing import TYPE_CHECKING, Any, TextIO

from app.errors import AppError
from indexer.errors import IndexerError

if TYPE_CHECKING:
    from app.settings import Settings

# Of the request that is handled here; threads that work for it inherit it.
current_request: ContextVar[str | None] = ContextVar("current_request", default=None)

OURS = ("passerby", "indexer")
WITHHELD = "(message withheld, PASSERBY_LOG_QUERIES=true shows it)"
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_MOST_WAITING = 10_000  # lines
_LAST_LINES_S = 2.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def choose_request_id(given: str | None) -> str:
    """The id that a client or proxy gave its request, if it looks like one; else a new one."""
    if given is not None and _ACCEPTABLE_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex


def start_log(settings: Settings, stream: TextIO | None = None) -> None:
    """Log to `stream`, or else to stderr without waiting for it; the libraries' lines only when
    something is wrong."""
    handler = logging.StreamHandler(stream) if stream else WaitingLines(sys.stderr.fileno())
    handler.addFilter(_add_request_id)
    form = JsonLines if settings.log_format == "json" else TextLines
    handler.setFormatter(form(log_queries=settings.log_queries))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("passerby").setLevel(settings.log_level.upper())
    # Says of each malformed upload what its answer says, too.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


def _add_request_id(record: logging.LogRecord) -> bool:
    record.request_id = current_request.get()
    return True


class WaitingLines(logging.Handler):
    """Keeps lines for a thread that writes them: where nobody reads the log, only that one stops.

    When too many wait, later ones are lost; before the next that is kept stands how many.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._lines: Queue[str] = Queue(_MOST_WAITING)
        self._num_lost = 0
        # Not sys.stderr itself: it is flushed at the end, which would wait for the thread.
        stream = os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="backslashreplace")
        threading.Thread(target=self._write, args=(stream,), name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._num_lost:
                self._lines.put_nowait(self.format(_tell_lost(self._num_lost)))
                self._num_lost = 0
            self._lines.put_nowait(self.format(record))
        except Full:
            self._num_lost += 1

    def _write(self, stream: TextIO) -> None:
        while True:
            with contextlib.suppress(OSError):  # nobody can be told that the log is gone
                stream.write(self._lines.get() + "\n")
                stream.flush()
            self._lines.task_done()

    def flush(self) -> None:
        """Wait a little for the last lines, as the interpreter does when it ends."""
        with self._lines.all_tasks_done:
            idle = self._lines.all_tasks_done.wait_for
            idle(lambda: not self._lines.unfinished_tasks, timeout=_LAST_LINES_S)


def _tell_lost(number: int) -> logging.LogRecord:
    told = f"{number} lines are missing here: nobody took them in time"
    about = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
    return logging.makeLogRecord({**about, "msg": told, "request_id": None})


class TextLines(logging.Formatter):
    """`TIME LEVEL LOGGER [REQUEST]: MESSAGE`, one line unless there is a traceback."""

    def __init__(self, *, log_queries: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s [%(request_id)s]: %(message)s")
        self.log_queries = log_queries

    def formatMessage(self, record: logging.LogRecord) -> str:
        # A line break in a path must not begin a line that looks like another entry.
        record.message = _CONTROL.sub(lambda found: repr(found[0])[1:-1], record.message)
        record.request_id = record.request_id or "-"  # type: ignore[attr-defined]
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler's, with everything in it
        shown = _tell_exception(record, self.log_queries)
        kept, record.exc_info = record.exc_info, None
        try:
            line = super().format(record)
        finally:
            record.exc_info = kept
        return f"{line}\n{shown}" if shown else line


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, request_id, and `fields`."""

    def __init__(self, *, log_queries: bool) -> None:
        super().__init__()
        self.log_queries = log_queries

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", None),
            **getattr(record, "fields", {}),
        }
        if shown := _tell_exception(record, self.log_queries):
            line["exception"] = shown
        return json.dumps(line)


def _tell_exception(record: logging.LogRecord, log_queries: bool) -> str:
    """The traceback of a record; without the messages that may quote a request."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return ""
    of_request = getattr(record, "request_id", None) is not None
    if log_queries or not (of_request or not record.name.startswith(OURS)):
        return "".join(traceback.format_exception(error)).rstrip()
    return "\n".join(part for one in _chain(error) for part in _tell_quietly(one))


def _tell_quietly(error: BaseException) -> Iterator[str]:
    """Where `error` came from and its type; its message if this program wrote it."""
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip()
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    yield f"{kind}: {error if isinstance(error, (IndexerError, AppError)) else WITHHELD}"


def _chain(error: BaseException) -> list[BaseException]:
    """`error` and what caused it, the first cause first."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return found[::-1]
