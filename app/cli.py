"""The command `passerby`: names the commands, and turns errors into one line."""

from __future__ import annotations

import sys

import typer

from app import __version__
from app.commands import (
    audit,
    cases,
    demo,
    doctor,
    erasure,
    galleries,
    imports,
    ingest,
    keys,
    maps,
    migrate,
    model_embedding,
    models,
    search,
    server,
)
from app.commands.research import checkpoints, datasets, detector, evaluate, plot, train
from app.errors import CommandError
from indexer.errors import IndexerError

app = typer.Typer(
    name="passerby",
    help="Describe a person in words; get the pictures that show them, ranked.\n\n"
    "Start with `passerby demo`. Settings are environment variables `PASSERBY_*`, "
    "see the README.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo,
    server,
    migrate,
    ingest,
    imports,
    search,
    maps,
    cases,
    models,
    model_embedding,
    galleries,
    keys,
    audit,
    erasure,
    train,
    evaluate,
    plot,
    datasets,
    checkpoints,
    detector,
    doctor,
):
    command.register(app)


@app.command(rich_help_panel="About")
def version() -> None:
    """Print the version."""
    print(f"passerby {__version__}")


def main() -> None:
    """Run the command line. Exit code 1 after an error, told in one line on stderr."""
    try:
        app()
    except (CommandError, IndexerError) as error:
        sys.exit(f"passerby: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
