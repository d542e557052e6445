"""Which model a process begins with."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from app.errors import CommandError
from app.loading import full_name, load_encoder
from app.models.encoders import Encoder, EncoderCache
from app.models.start import Choice, choose_complete, choose_served, follow_encoders
from app.settings import Settings
from indexer.catalogue import Catalogue
from tests.app.conftest import both_databases
from tests.colours import COARSE, GRID, CoarseColours
from tests.conftest import ColourEncoder

MODELS: dict[str, Callable[[], Encoder]] = {
    "small": ColourEncoder,
    "coarse": CoarseColours,
    "moved": CoarseColours,
}


def load(name: str) -> Encoder:
    if name not in MODELS:
        raise CommandError(f"{name}: no checkpoint here")
    return MODELS[name]()


@both_databases
def test_setting_is_served_at_once_by_a_new_database_alone(catalogue: Catalogue) -> None:
    kept = catalogue.models
    assert choose_served(kept, EncoderCache(load), None).served.name == "small"
    choice = choose_served(kept, EncoderCache(load), "coarse")
    assert (choice.served.name, choice.wanted) == ("small", "colour-coarse")
    assert [model.name for model in kept.all()] == ["small", "coarse"]
    kept.switch("colour-coarse")
    assert choose_served(kept, EncoderCache(load), None) == Choice(kept.find("colour-coarse"))


def test_setting_renames_a_model_that_moved(catalogue: Catalogue) -> None:
    choose_served(catalogue.models, EncoderCache(load), "coarse")
    choose_served(catalogue.models, EncoderCache(load), "moved")
    assert [model.name for model in catalogue.models.all()] == ["moved"]


def test_served_model_that_is_gone_is_replaced_by_the_setting_alone(
    catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    kept = catalogue.models
    kept.keep("gone", "/models/gone", 4)
    with pytest.raises(CommandError, match="can't be loaded: /models/gone: no checkpoint here"):
        choose_served(kept, EncoderCache(load), None)
    kept.serving.heartbeat("another-process", ["gone"])
    with pytest.raises(CommandError, match="can't be loaded"):
        choose_served(kept, EncoderCache(load), "coarse")
    kept.serving.leave("another-process")
    with caplog.at_level(logging.ERROR):
        assert choose_served(kept, EncoderCache(load), "coarse").served.name == "coarse"
    assert "coarse, which PASSERBY_MODEL names, is served in its place" in caplog.text
    served = kept.served()
    assert served is not None
    assert served.name == "coarse"


def test_one_search_asks_the_setting_only_where_it_is_complete(catalogue: Catalogue) -> None:
    kept, encoders = catalogue.models, EncoderCache(load)
    assert choose_complete(kept, encoders, None).served.name == "small"
    assert choose_complete(kept, encoders, "coarse").served.name == "small"
    assert [model.name for model in kept.all()] == ["small"], "a search keeps no model"
    kept.keep("colour-coarse", "coarse", 13)
    assert choose_complete(kept, encoders, "coarse").served.name == "coarse"


def test_encoders_are_loaded_once_and_known_again(catalogue: Catalogue) -> None:
    encoders = EncoderCache(load)
    model = choose_served(catalogue.models, encoders, "coarse").served
    assert encoders.named("moved") is encoders.of(model)
    other = catalogue.models.keep("colour-older", "coarse", 13)
    with pytest.raises(CommandError, match=r"is another model by now: .* colour-coarse, not"):
        encoders.of(other)


def test_worker_frees_the_encoder_of_a_dropped_model(catalogue: Catalogue) -> None:
    encoders = EncoderCache(load)
    choice = choose_served(catalogue.models, encoders, None)
    catalogue.models.keep("colour-coarse", "coarse", 13)
    followed = follow_encoders(catalogue.models, encoders, choice)
    followed.follow()
    assert encoders.loaded("colour-coarse") is followed.current()[1]
    catalogue.models.drop("colour-coarse")
    followed.follow()
    assert encoders.loaded("colour-coarse") is None
    assert encoders.loaded("colour-grid") is followed.current()[0]


def test_model_of_others_is_made_by_a_function() -> None:
    assert load_encoder(Settings(model=COARSE)).fingerprint == "colour-coarse"
    for name, said in (
        ("python:tests.colours", "expected python:MODULE:FUNCTION"),
        ("python:tests.colours:nothing", "gives no model: AttributeError"),
        ("python:tests.detector:ColourDetector", "which has no dim"),
    ):
        with pytest.raises(CommandError, match=said):
            load_encoder(Settings(model=name))


def test_full_name_is_the_same_in_every_folder(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "checkpoint.json").write_text("{}")
    for name in (None, "small", "ViT-B-16:openai", GRID, f"{tmp_path}/best"):
        assert full_name(name) == name
    assert full_name("best") == f"{tmp_path}/best"
    assert full_name("file:best.pt") == f"file:{tmp_path}/best.pt"
