"""What a checkpoint says of itself: the JSON beside its weights. Needs no torch, which takes
seconds."""

import json
from pathlib import Path

from model.errors import CheckpointError

CARD = "checkpoint.json"
FORMAT = 1
SHIPPED = Path(__file__).parent / "weights"


def find_checkpoint(path_or_name: str) -> Path | None:
    """The folder of a checkpoint of ours by its path or its shipped name; None for any other."""
    for folder in (Path(path_or_name), SHIPPED / path_or_name):
        if (folder / CARD).exists():
            return folder
    return None


def read_card(folder: Path) -> dict[str, object]:
    """The JSON beside the weights. Raises CheckpointError where it is missing or malformed."""
    path = folder / CARD
    try:
        card = json.loads(path.read_text())
    except FileNotFoundError:
        raise CheckpointError(f"{folder}: no checkpoint here, expected {CARD}") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        got = card.get("format") if isinstance(card, dict) else card
        raise CheckpointError(f"{path}: expected checkpoint format {FORMAT}, got {got!r}")
    return card
