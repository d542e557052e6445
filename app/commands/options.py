"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PANEL_DATA = "Galleries and pictures"
PANEL_TRUST = "Who may, and who did"

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder of the embedded database, pictures and index. [default: ./data]",
        show_default=False,
    ),
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="PASSERBY_SERVER",
        help="URL of a service to work on, with the key in PASSERBY_KEY. [default: this machine]",
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", help="`small`, a checkpoint folder, or `ViT-B-16:openai`.", show_default=False
    ),
]
Host = Annotated[
    str | None,
    typer.Option("--host", help="Address to listen on. [default: 127.0.0.1]", show_default=False),
]
Port = Annotated[
    int | None,
    typer.Option("--port", help="Port to listen on. [default: 8000]", show_default=False),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        help="Port for /metrics and /readyz. [default: none]",
        show_default=False,
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes",
        help="How many processes answer on the port. [default: 1]",
        show_default=False,
    ),
]
GalleryName = Annotated[str, typer.Option("--gallery", "-g", help="Name of the gallery.")]
