"""HTTP connections that nobody can hold open for nothing: uvicorn's, with limits.

uvicorn waits for ever for the rest of a head or a body, and takes connections until the process
has no descriptors left. Here a client that is slow without need is cut off, and where there are
too many connections, the one that has kept its request to itself the longest makes room.
"""

from __future__ import annotations

import asyncio
import logging
import random
import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEAD_BYTES = 16 * 1024
_READ_BYTES = 32 * 1024  # what is parsed before others get their turn
_MANY_PARTS = 200
_LEAST_PART_BYTES = 64

log = logging.getLogger("passerby.http")


@dataclass(frozen=True)
class Limits:
    """head_s: for a request's head. window_s: in each, so many bytes of a body must come, or of
    an answer be taken; both up to half as long again. max_connections: more are not held at a
    time."""

    head_s: float = 10.0
    window_s: float = 10.0
    least_bytes_a_window: int = 10 * 1024
    max_connections: int = 4_000

    @classmethod
    def of_process(cls) -> Limits:
        """Half of the descriptors at most, of which it takes all that it may have: files and the
        database need some, too."""
        descriptors, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors == resource.RLIM_INFINITY:
            return cls()
        wanted = 2 * cls.max_connections
        if descriptors < wanted:
            descriptors = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, most))
        return cls(max_connections=max(16, min(cls.max_connections, descriptors // 2)))


class CountedParts(h11.Connection):
    """Refuses bodies in crumbs: each costs as much as a piece of many kilobytes."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self.num_parts = 0
        self.num_bytes = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.num_parts = self.num_bytes = 0
        elif isinstance(event, h11.Data):
            self.num_parts += 1
            self.num_bytes += len(event.data)
            if self.num_parts > max(_MANY_PARTS, self.num_bytes // _LEAST_PART_BYTES):
                raise h11.RemoteProtocolError("the body comes in crumbs")
        return event


class GuardedProtocol(H11Protocol):
    """One connection. `waiting` and `sending` have all that have not sent a whole request."""

    limits: Limits
    waiting: dict[GuardedProtocol, None]  # for a head; in the order in which they began to
    sending: dict[GuardedProtocol, None]  # a body

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.conn = CountedParts()
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.max_size = _READ_BYTES  # type: ignore[attr-defined]
        self._await_head()
        if len(self.connections) > self.limits.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._timer is None and self.conn.their_state is h11.IDLE:
            self._await_head()  # of the next request: until now uvicorn's own timer ran
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()
        if self.conn.their_state is h11.IDLE:
            self._stop_timer()  # uvicorn ends it when it stays idle
            self.waiting[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()

    def _look(self) -> None:
        """Which part of a request is waited for now?"""
        if self.transport.is_closing() or self.conn.their_state is h11.IDLE:
            return
        if self.conn.their_state is not h11.SEND_BODY:
            self._leave()
        elif self not in self.sending:
            self._leave()
            self.sending[self] = None
            self._await_body()

    def _await_head(self) -> None:
        self._leave()
        self.waiting[self] = None
        self._timer = self._later(self.limits.head_s, self._cut_off, "a whole head")

    def _await_body(self) -> None:
        before = self._received
        self._timer = self._later(self.limits.window_s, self._check_body, before)

    def _check_body(self, before: int) -> None:
        held_up_by_us = self.flow.read_paused
        if self._received - before < self.limits.least_bytes_a_window and not held_up_by_us:
            self._cut_off("the rest of a body")
        else:
            self._await_body()

    def _watch_writing(self, unsent: int) -> None:
        self._stop_write_timer()
        self._write_timer = self._later(self.limits.window_s, self._check_write, unsent)

    def _check_write(self, before: int) -> None:
        unsent = self.transport.get_write_buffer_size()
        if before - unsent < self.limits.least_bytes_a_window:
            log.info("a connection was cut off: its answer was not taken")
            self.transport.abort()
        else:
            self._watch_writing(unsent)

    def _make_room(self) -> None:
        oldest = next(iter(self.waiting or self.sending), None)
        if oldest is None or oldest is self:
            self.transport.abort()  # all others are being answered
        else:
            oldest._end("too many connections")

    def _cut_off(self, missing: str) -> None:
        """Answer 408 where nothing was answered yet, and close."""
        self._end(f"the client did not send {missing} in time")

    def _end(self, why: str) -> None:
        log.info("a connection was cut off: %s", why)
        self._leave()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # nothing was answered yet
            about = [("connection", "close"), ("content-length", "0")]
            head = h11.Response(status_code=408, headers=about, reason=b"Request Timeout")
            self.transport.write((self.conn.send(head) or b"") + self.conn.send(h11.EndOfMessage()))
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _later(self, seconds: float, call: Callable[..., None], *of: object) -> asyncio.TimerHandle:
        """Up to half as much later again: thousands that came together are not ended together."""
        return self.loop.call_later(seconds * random.uniform(1.0, 1.5), call, *of)

    def _leave(self) -> None:
        self._stop_timer()
        self.waiting.pop(self, None)
        self.sending.pop(self, None)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def guarded(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol for one server."""

    class Guarded(GuardedProtocol):
        pass

    Guarded.limits, Guarded.waiting, Guarded.sending = limits, {}, {}
    return Guarded
