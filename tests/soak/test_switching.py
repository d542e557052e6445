"""A model switch in front of searches that never stop, with the shipped model and another of its
size, or with the colour encoders; how long searches took before, during and after.

SOAK_MODEL=small SOAK_PICTURES=20000 SOAK_MINUTES=5 (of each phase after the embedding, a tenth)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.colours import COARSE, GRID
from tests.postgresql import running_postgresql
from tests.soak.options import MODEL, PICTURES, minutes, show
from tests.switching import STUBS, TEXTS, Pictures, fleet, switch_under_load

pytestmark = pytest.mark.timeout(0)

PHASES = ("before", "embedding", "switched", "rolled back", "switched again", "dropped")
DESCRIPTIONS = ("a woman in a red coat", "a man in a dark suit", "a person with a grey backpack")


@pytest.fixture
def models(tmp_path: Path) -> Mapping[str, Any]:
    """Two by their names: the second is the shipped one with its weights moved a little."""
    if MODEL == "colours":
        return dict(zip((GRID, COARSE), STUBS.values(), strict=True))
    import torch

    from app.loading import load_encoder
    from app.settings import Settings
    from model import load_encoder as load_torch
    from model.checkpoint import save_checkpoint

    moved = load_torch(MODEL, "cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in moved.parameters():
            noise = torch.randn(weights.shape, generator=generator)
            weights += 0.05 * weights.std(correction=0) * noise
    save_checkpoint(moved, tmp_path / "moved", recipe={}, metrics={})
    names = (MODEL, str(tmp_path / "moved"))
    return {name: load_encoder(Settings(model=name, data_dir=tmp_path)) for name in names}


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A database, and the processes on it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'passerby.db'}", ["serve"]
    else:
        with running_postgresql(folder=None) as server:
            yield server.url, ["api", "api", "worker"]


def test_no_search_fails(
    tmp_path: Path, place: tuple[str, list[str]], models: Mapping[str, Any]
) -> None:
    url, commands = place
    (first, old), (name, new) = models.items()
    encoders = {one.fingerprint: one for one in models.values()}
    is_small = MODEL != "colours"
    with fleet(tmp_path, url, commands, old, first) as here:
        seen = switch_under_load(
            here,
            Pictures(encoders),
            old=old.fingerprint,
            new=new.fingerprint,
            name=name,
            num_pictures=PICTURES,
            phase_s=minutes(5) / 10,
            texts=DESCRIPTIONS if is_small else TEXTS,
            # A batch's size changes the last bits, and bfloat16's are few.
            close=0.02 if is_small else 2e-5,
        )
    show(
        f"{' + '.join(commands)}, {PICTURES:,} pictures, {MODEL}",
        {
            "answers": sum(seen.answers.values()),
            "failed or mixed": len(seen.faults),
            "exhaustive searches": seen.exhaustive,
            "pages of the dropped model, refused": seen.outdated,
            **{
                phase: f"{len(seen.took_s[phase]):,} searches, "
                f"p50 {seen.quantile_ms(phase, 0.5):.1f} ms, "
                f"p99 {seen.quantile_ms(phase, 0.99):.1f} ms"
                for phase in PHASES
            },
        },
    )
    assert seen.faults == []
