"""passerby serve, api, worker: the programs that run until they are stopped."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from app.commands.options import DataDir, Host, MetricsPort, Model, Port, Processes
from app.errors import CommandError
from app.memory import keep_few_arenas, leave_out_of_collection, let_go_at_the_end
from app.monitoring.logs import start_log
from app.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    import uvicorn
    from fastapi import FastAPI

    from indexer.catalogue import Catalogue

_MOST_WAITING_CLIENTS = 2_048  # the system keeps them until they are taken
_TAKEN_AT_ONCE = 64  # then those that are connected get their turn
GRACE_S = 2  # for requests in progress, once the program is told to stop
PANEL = "Run the service"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (serve, api, worker):
        app.command(rich_help_panel=PANEL)(command)


def serve(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    model: Model = None,
    metrics_port: MetricsPort = None,
) -> None:
    """API, page and worker in one process."""
    settings = load_settings(
        host=host, port=port, data_dir=data_dir, model=model, metrics_port=metrics_port
    )
    run_server(settings, with_worker=True)


def api(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    model: Model = None,
    metrics_port: MetricsPort = None,
    processes: Processes = None,
) -> None:
    """API and page alone; `passerby worker` embeds what comes in."""
    settings = load_settings(
        host=host,
        port=port,
        data_dir=data_dir,
        model=model,
        metrics_port=metrics_port,
        processes=processes,
    )
    if settings.processes == 1:
        run_server(settings, with_worker=False)
    else:
        run_servers(settings)


def worker(data_dir: DataDir = None, model: Model = None, metrics_port: MetricsPort = None) -> None:
    """Embed pending pictures until stopped. Run as many as you like."""
    settings = load_settings(data_dir=data_dir, model=model, metrics_port=metrics_port)
    keep_few_arenas()
    start_log(settings)
    exit_on_term()
    from app.models.start import follow_encoders
    from app.monitoring.metrics import Metrics
    from app.monitoring.readiness import watch_parts
    from app.monitoring.side_port import side_port
    from app.monitoring.tracing import start_tracing
    from app.wiring import (
        build_frame_worker,
        build_import_runner,
        build_map_runner,
        build_worker,
        folders_of,
        open_data,
        open_models,
    )
    from indexer.database import notices

    tracing = start_tracing()
    catalogue, store = open_data(settings)
    encoders, choice = open_models(settings, catalogue)
    kept = follow_encoders(catalogue.models, encoders, choice)
    one = build_worker(settings, catalogue, store, kept, on_batch=tracing.record_batch)
    frames = build_frame_worker(settings, catalogue, store, one.nudge)
    watches = watch_parts(catalogue, store, one, frames=frames)
    folders = folders_of(settings, store)
    metrics = Metrics(catalogue, watches, one, folders=folders)
    imports = build_import_runner(settings, catalogue, store, one, metrics, watches)
    maps = build_map_runner(settings, catalogue, encoders, watches)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with (
        side_port(settings.metrics_port, metrics, watches, settings.metrics_host) as port,
        notices.listening(catalogue.database, {notices.PENDING: one.nudge}),
    ):
        where = (
            ""
            if port is None
            else f" Its figures: http://{url_host(settings.metrics_host)}:{port}/metrics."
        )
        typer.echo(f"Working. Ctrl-C stops it.{where}")
        looking = frames.running() if frames else nullcontext()
        with imports.running(), maps.running(), looking, watches.running():
            one.run(stop)
    catalogue.close()
    tracing.close()


def say_where(url: str) -> None:
    """Tell that the service answers."""
    typer.echo(f"Passerby is at {url} (the API: {url}/docs). Ctrl-C stops it.")


def run_server(
    settings: Settings, *, with_worker: bool, announce: Callable[[str], None] = say_where
) -> None:
    """Serve until SIGINT or SIGTERM. announce: called with the URL when it answers.

    Raises CommandError (port taken, model), IndexerError (database, storage).
    """
    alone = settings.model_copy(update={"processes": 1})
    with take_port(settings.host, settings.port) as listener:
        _serve(listener, alone, with_worker=with_worker, announce=announce)


def run_servers(settings: Settings) -> None:
    """The API alone in as many processes as are set, which share a port. Raises as run_server."""
    from app.processes import supervise

    start_log(settings, sys.stderr)  # by no thread: processes are forks
    with take_port(settings.host, settings.port) as listener:

        def serve(place: int, answers: Callable[[], None]) -> None:
            mine = settings.of_process(place)
            _serve(listener, mine, with_worker=False, announce=lambda _: answers())

        supervise(settings.processes, serve, lambda: say_where(_url(listener, settings)))


def _serve(
    listener: socket.socket,
    settings: Settings,
    *,
    with_worker: bool,
    announce: Callable[[str], None],
) -> None:
    """This process answers on the port that `listener` holds."""
    keep_few_arenas()
    start_log(settings)
    exit_on_term()
    import uvicorn

    from app.main import create_app
    from app.monitoring.side_port import side_port
    from app.wiring import build_services

    services = build_services(settings, with_worker=with_worker)
    require_keys(settings, services.catalogue)
    config = server_config(create_app(settings, services), settings)
    telling = side_port(
        settings.metrics_port, services.metrics, services.watches, settings.metrics_host
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            listener.listen(_MOST_WAITING_CLIENTS)
            leave_out_of_collection()
            announce(_url(listener, settings))

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # A second signal changes nothing: stopping is bounded, and half of it is worse.
            self.should_exit = True

    with telling:
        Server(config).run(sockets=[listener])
    let_go_at_the_end()


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How the server is run."""
    import uvicorn

    from app.http.connections import Limits, guarded

    return uvicorn.Config(
        app,
        http=guarded(Limits.of_process()),
        loop="asyncio",  # uvloop, where it happens to be installed, has no bound on what is read
        # Who takes one at a time leaves the others to processes that have less to do.
        backlog=_TAKEN_AT_ONCE if settings.processes == 1 else 1,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def require_keys(settings: Settings, catalogue: Catalogue) -> None:
    """Raises CommandError where others could reach the service and nobody has a key."""
    now = datetime.now(UTC)
    if settings.needs_keys and not any(key.is_active(now) for key in catalogue.keys.all()):
        where = ", ".join(sorted(settings.names)) if settings.is_private else settings.host
        raise CommandError(
            f"{where} is reachable by others, and there is no active access key: make one "
            "with `passerby keys create NAME --scope admin`, or listen on 127.0.0.1 under no other "
            "name"
        )


def take_port(host: str, port: int) -> socket.socket:
    """Hold the port before anything slow is loaded. Raises CommandError when it is taken."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        family, kind, protocol, _, address = found[0]
        # Without the protocol asyncio leaves Nagle's algorithm on: 40 ms a kept-alive request.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        raise CommandError(
            f"can't listen on {host}:{port} ({error.strerror}): stop the program that uses it, or "
            "choose another port with --port"
        ) from error
    return listener


def exit_on_term() -> None:
    """SIGTERM ends the program as an ordinary exit does: with 0, everything put away."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)


def _url(listener: socket.socket, settings: Settings) -> str:
    return f"http://{url_host(settings.host)}:{listener.getsockname()[1]}"


def url_host(host: str) -> str:
    """An address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
