import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.encoder import DualEncoder
from model.errors import CheckpointError, ModelError
from model.export import CARD, FORMATS, Format, export_encoder, open_core
from model.tokens import tokenize
from tests.model.conftest import TINY

Arrays = NDArray[np.generic]
TEXTS = ["a man in a red coat", "a woman", "hat " * 90]


@pytest.fixture(scope="module")
def encoder() -> DualEncoder:
    torch.manual_seed(0)
    encoder = DualEncoder(TINY)
    for parameter in encoder.parameters():  # random biases and norms too
        torch.nn.init.normal_(parameter, std=0.2)
    return encoder.eval()


def open_onnx(path: Path) -> Callable[[Arrays], Arrays]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    (told,) = session.get_inputs()
    return lambda values: session.run(["features"], {told.name: values})[0]


def open_openvino(path: Path) -> Callable[[Arrays], Arrays]:
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = open_core().compile_model(path, "CPU", exact)
    return lambda values: compiled({compiled.input(0).any_name: values})["features"]


def open_torch(path: Path) -> Callable[[Arrays], Arrays]:
    module = torch.export.load(path).module()
    return lambda values: module(torch.from_numpy(values)).detach().numpy()


OPENERS = {"onnx": open_onnx, "openvino": open_openvino, "torch": open_torch}


@pytest.fixture(scope="module", params=FORMATS)
def exported(
    request: pytest.FixtureRequest, encoder: DualEncoder, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Format, Path]:
    """One of each kind, and nothing beside it."""
    fast = torch.backends.mha.get_fastpath_enabled()
    folder = tmp_path_factory.mktemp(request.param)
    for agreement in export_encoder(encoder, folder / "out", request.param):
        assert agreement.largest_difference < 1e-5
        assert agreement.largest_difference > 0 or request.param == "torch"  # it runs the same code
        assert 0.9999 < agreement.smallest_cosine < 1.0001
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert [path.name for path in folder.iterdir()] == ["out"]
    return request.param, folder / "out"


def test_export_gives_the_features_of_its_source(
    exported: tuple[Format, Path], encoder: DualEncoder
) -> None:
    kind, folder = exported
    card = json.loads((folder / CARD).read_text())
    image = OPENERS[kind](folder / card["image"]["file"])
    for batch in (1, 5):
        pixels = np.random.default_rng(batch).integers(0, 256, (batch, 3, 32, 16), np.uint8)
        expected = encoder.encode_image(torch.from_numpy(pixels))
        np.testing.assert_allclose(image(pixels), expected, atol=1e-5)
    text = OPENERS[kind](folder / card["text"]["file"])
    for texts in (TEXTS[:1], TEXTS[:2], TEXTS):  # the last takes all 77 tokens
        np.testing.assert_allclose(
            text(tokenize(texts).numpy()), encoder.encode_text(texts), atol=1e-5
        )


def test_export_says_what_goes_in_and_out(
    exported: tuple[Format, Path], encoder: DualEncoder
) -> None:
    kind, folder = exported
    card = json.loads((folder / CARD).read_text())
    assert (card["format"], card["fingerprint"]) == (kind, encoder.fingerprint)
    weights = {"image.bin", "text.bin"} if kind == "openvino" else set()
    told = {CARD, card["image"]["file"], card["text"]["file"]} | weights
    assert {path.name for path in folder.iterdir()} == told
    shapes = {tower: card[tower]["input"]["shape"] for tower in ("image", "text")}
    assert shapes == {"image": ["batch", 3, 32, 16], "text": ["batch", "length"]}
    if kind == "onnx":
        import onnxruntime

        for tower in ("image", "text"):
            session = onnxruntime.InferenceSession(folder / card[tower]["file"])
            for way, value in (
                ("input", session.get_inputs()[0]),
                ("output", session.get_outputs()[0]),
            ):
                assert (value.name, value.shape) == (
                    card[tower][way]["name"],
                    card[tower][way]["shape"],
                )


@pytest.mark.parametrize(("added", "told"), [(2e-3, r"0\.002"), (float("nan"), "nan")])
def test_export_that_differs_is_refused_and_leaves_the_old_one(
    tmp_path: Path,
    encoder: DualEncoder,
    monkeypatch: pytest.MonkeyPatch,
    added: float,
    told: str,
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / CARD).write_text("the old one")
    encode = encoder.encode_image
    monkeypatch.setattr(encoder, "encode_image", lambda pixels: encode(pixels) + 2e-3)
    with pytest.raises(
        CheckpointError, match=r"image tower: .* by 0\.002, expected at most 0\.001;"
    ):
        export_encoder(encoder, tmp_path / "out", "torch", tolerance=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / CARD).read_text() == "the old one"


def test_missing_package_names_the_extra(
    tmp_path: Path, encoder: DualEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelError, match=r"format openvino needs .*passerby\[export\]"):
        export_encoder(encoder, tmp_path / "out", "openvino")
    assert not list(tmp_path.iterdir())


def test_folder_that_is_no_export_is_left_alone(tmp_path: Path, encoder: DualEncoder) -> None:
    with pytest.raises(CheckpointError, match="is there already and is no export"):
        export_encoder(encoder, tmp_path, "torch")
