"""A real server, a real browser. Package scope: Playwright's loop must not outlive these tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.conftest import ColourEncoder
from tests.e2e.people import street
from tests.e2e.server import Server, running_server

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NewPage = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("no Chromium for the browser tests: apt-get install -y chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves the gallery `street`: four pictures each of a red, a green and a blue coat."""
    with running_server(tmp_path_factory.mktemp("street"), ColourEncoder()) as started:
        started.fill("street", street())
        yield started


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """An empty one of the test's own, to be changed and stopped."""
    with running_server(tmp_path, ColourEncoder()) as started:
        yield started


SERVER_GONE = (
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "ERR_CONNECTION_CLOSED",
    "ERR_EMPTY_RESPONSE",
    "ERR_SOCKET_NOT_CONNECTED",
)
"""What a browser says when nobody listens any more, or a connection it had kept is dead."""


class Watched:
    """What no page may do: write errors to the console, throw, or ask anything of another host."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        # Statuses that a test provokes; the browser itself writes each to the console.
        self.expected: tuple[str, ...] = ()

    def watch(self, context: BrowserContext, origin: str) -> None:
        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.complaints.append(message.text)

        context.on("console", on_console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((f"{origin}/", "blob:"))
                else self.complaints.append(f"request to {request.url}")
            ),
        )

    def check(self) -> None:
        left = [text for text in self.complaints if not any(e in text for e in self.expected)]
        assert not left


@pytest.fixture
def watched() -> Iterator[Watched]:
    watching = Watched()
    yield watching
    watching.check()


@pytest.fixture
def open_page(browser: Browser, watched: Watched) -> Iterator[NewPage]:
    """Opens `path` of a server in a new browser context; options are Playwright's."""
    contexts = []

    def open_in_context(server: Server, path: str = "/", **options: object) -> Page:
        context = browser.new_context(base_url=server.url, **options)  # type: ignore[arg-type]
        context.set_default_timeout(8_000)
        watched.watch(context, server.url)
        contexts.append(context)
        page = context.new_page()
        page.goto(path)
        return page

    yield open_in_context
    for context in contexts:
        context.close()
