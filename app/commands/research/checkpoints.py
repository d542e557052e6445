"""passerby import-checkpoint and passerby export: models from and for other programs."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.research.options import PANEL, told_in_one_line
from app.errors import CommandError

if TYPE_CHECKING:
    from model.checkpoint_import import ImportReport

SYSTEMS = {
    "irra": "IRRA's layout, which MLLM4Text-ReID shares",
    "dgcmia": "DGCMIA's layout",
    "openai": "OpenAI's CLIP",
    "open_clip": "open_clip's layout",
}


class Activation(StrEnum):
    """Between the two layers of a block."""

    QUICK_GELU = "quick-gelu"
    GELU = "gelu"


class ExportFormat(StrEnum):
    """As in model.export.FORMATS."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCH = "torch"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("import-checkpoint", rich_help_panel=PANEL)(import_checkpoint)
    app.command(rich_help_panel=PANEL)(export)


def import_checkpoint(
    file: Annotated[
        Path,
        typer.Argument(help="A file of IRRA, DGCMIA, MLLM4Text-ReID, OpenAI's CLIP or open_clip."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new checkpoint.")],
    image_size: Annotated[
        str | None,
        typer.Option(
            "--image-size",
            metavar="HEIGHTxWIDTH",
            help="Resize its picture positions to this size. [default: its own]",
            show_default=False,
        ),
    ] = None,
    activation: Annotated[
        Activation | None,
        typer.Option(
            "--activation",
            help="What the weights don't tell. [default: the layout's, where it has one]",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, every name included.")
    ] = False,
) -> None:
    """Make a checkpoint of one that another program wrote; say what became of every weight."""
    from model.checkpoint_import import import_checkpoint as run

    size = _parse_size(image_size) if image_size is not None else None
    quick_gelu = None if activation is None else activation is Activation.QUICK_GELU
    with told_in_one_line():
        report = run(file, out, image_size=size, quick_gelu=quick_gelu)
    typer.echo(json.dumps(asdict(report)) if as_json else _describe(report, out))


def export(
    checkpoint: Annotated[
        str, typer.Argument(help="`small`, a checkpoint folder, or `ViT-B-16:openai`.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the export.")],
    kind: Annotated[ExportFormat, typer.Option("--format", help="For which runtime.")],
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, help="Largest difference from the source. [default: 1e-4]", show_default=False
        ),
    ] = None,
) -> None:
    """Write both towers for another runtime, run them, and keep them if they match the source."""
    from model import load_encoder
    from model.export import TOLERANCE, export_encoder

    allowed = TOLERANCE if tolerance is None else tolerance
    with told_in_one_line():
        encoder = load_encoder(checkpoint, "cpu")
        agreements = export_encoder(encoder, out, kind.value, tolerance=allowed)
    typer.echo(f"{'tower':<8}{'largest difference':>20}{'smallest cosine':>18}")
    for agreement in agreements:
        typer.echo(
            f"{agreement.tower:<8}{agreement.largest_difference:>20.1e}"
            f"{agreement.smallest_cosine:>18.7f}"
        )
    typer.echo(f"The export is {out}")


def _parse_size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise CommandError(f"--image-size {text!r}: expected HEIGHTxWIDTH, such as 384x128")
    return int(found[1]), int(found[2])


def _describe(report: ImportReport, out: Path) -> str:
    """What came in, what was left out and why, and what is missing."""
    architecture = report.architecture
    height, width = architecture.image_size
    vision, text = architecture.vision, architecture.text
    lines = [
        f"{report.file}: {SYSTEMS[report.system]}, "
        f"{'QuickGELU' if architecture.quick_gelu else 'GELU'}",
        f"pictures {height}x{width} in patches of {vision['patch_size']}, "
        f"{vision['layers']} layers of {vision['width']}; "
        f"texts of up to {architecture.context_length} tokens, "
        f"{text['layers']} layers of {text['width']}; features of {architecture.embed_dim}",
    ]
    if report.resized:
        old, new = (f"{grid[0]}x{grid[1]}" for grid in report.resized)
        lines.append(f"picture positions resized from {old} to {new} patches")
    lines.append(f"used      {len(report.used):>4} weights")
    kinds = Counter((_group(name), reason) for name, reason in report.dropped.items())
    lines += [f"dropped   {count:>4} {name}: {why}" for (name, why), count in kinds.items()]
    lines += [f"missing      1 {name}: {why}" for name, why in report.missing.items()]
    return "\n".join([*lines, f"The checkpoint is {out}"])


def _group(name: str) -> str:
    """The head that a name belongs to."""
    parts = name.removeprefix("module.").split(".")
    return parts[0] if len(parts) == 1 else f"{parts[0]}.*"
