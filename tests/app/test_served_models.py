"""Any model is served: the setting names another one, pictures are embedded by it too, and then it
is searched by."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from app.wiring import build_services
from model import load_encoder
from model.checkpoint_import import import_checkpoint
from model.data.picture_files import decode_picture
from tests.app.conftest import URL, Api
from tests.app.files import picture
from tests.indexer.steps import wait_until
from tests.model.clip_oracle import as_half, irra_layout, random_clip

TEXT = "a woman in a red coat"
COLOURS = ("red", "green", "blue")


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    """Imported from IRRA's layout and from open_clip's, and a file served as it is."""
    irra, open_clip = tmp_path / "best.pth", tmp_path / "epoch_32.pt"
    torch.save({"model": irra_layout(as_half(random_clip())), "epoch": 3}, irra)
    torch.save({"state_dict": random_clip((4, 4), seed=1), "epoch": 32, "name": "x"}, open_clip)
    import_checkpoint(irra, tmp_path / "irra")
    import_checkpoint(open_clip, tmp_path / "open_clip", quick_gelu=False)
    return [str(tmp_path / "irra"), str(tmp_path / "open_clip"), f"file:{irra}"]


def test_service_goes_over_to_any_imported_model(tmp_path: Path, models: list[str]) -> None:
    files = {f"{colour}.png": picture(colour, suffix="PNG") for colour in COLOURS}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for model in models:
        encoder = load_encoder(model, "cpu")
        settings = Settings(data_dir=tmp_path / "data", model=model)
        services = build_services(settings, with_worker=True)
        with TestClient(create_app(settings, services), base_url=URL) as http:
            api = Api(http, services)
            if model == models[0]:
                services.catalogue.create_gallery("street")
                api.fill(*files.items())

            def is_served(api: Api = api, model: str = encoder.fingerprint) -> bool:
                found = api.search(text=TEXT).json()
                assert found["indexed"] == len(files), "no search is of some pictures alone"
                return bool(found["model"] == model)

            wait_until(is_served, 60)
            answer = api.search(text=TEXT).json()
        assert answer["indexed"] == len(files)
        scores = {hit["file_name"]: hit["score"] for hit in answer["results"]}
        assert scores == pytest.approx(score_by_hand(encoder, tmp_path, [*files]), abs=0.02)


def score_by_hand(encoder, folder: Path, names: list[str]) -> dict[str, float]:
    pixels = [decode_picture(str(folder / name), encoder.image_size).copy() for name in names]
    image_BD = encoder.encode_image(
        torch.stack([torch.from_numpy(p) for p in pixels]).movedim(3, 1)
    )
    return dict(zip(names, (encoder.encode_text([TEXT]) @ image_BD.T)[0].tolist(), strict=True))
