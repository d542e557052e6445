import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from model import load_encoder
from model.checkpoint import save_checkpoint
from model.encoder import DualEncoder
from model.errors import CheckpointError
from model.runtime import Wish, load_runtime, openvino_cpu
from model.runtime.choice import choose_engine
from model.runtime.machine import look_at_machine
from model.runtime.ranges import load_ranges
from tests.model.conftest import TINY

HAS_BFLOAT16 = look_at_machine().has_bfloat16
OURS = "bfloat16" if HAS_BFLOAT16 else "float32"


def test_openvino_is_chosen_for_plain_towers(tiny_encoder: DualEncoder) -> None:
    choice = choose_engine(tiny_encoder, Wish())
    assert choice.engine.name == f"openvino {OURS} on cpu"
    assert not choice.is_fallback
    assert any("not int8" in reason for reason in choice.reasons)


def test_what_is_asked_for_is_chosen(tiny_encoder: DualEncoder) -> None:
    for wish, name in (
        (Wish("torch", "float32"), "torch float32 on cpu"),
        (Wish("torch"), f"torch {OURS} on cpu"),
        (Wish("openvino", "float32"), "openvino float32 on cpu"),
        (Wish(precision="int8"), f"openvino {OURS}, pictures int8, on cpu"),
    ):
        choice = choose_engine(tiny_encoder, wish)
        assert choice.engine.name == name
        assert not choice.is_fallback
    assert tiny_encoder.image_mean.dtype == torch.float32


def test_other_towers_run_by_torch_and_the_reason_is_told() -> None:
    encoder = DualEncoder(replace(TINY, vision={**TINY.vision, "pool_type": "avg"})).eval()
    choice = choose_engine(encoder, Wish())
    assert choice.engine.name == f"torch {OURS} on cpu"
    assert choice.is_fallback
    assert choice.reasons[0] == "torch, not OpenVINO: its towers are not CLIP's plain ones"
    for wish in (Wish("openvino"), Wish(precision="int8")):
        with pytest.raises(ValueError, match=r"^(runtime|precision): .*not CLIP's plain ones"):
            choose_engine(encoder, wish)


def test_without_openvino_torch_runs_it_and_the_log_says_so() -> None:
    """In a process that can't import it."""
    program = (
        "import sys, logging; sys.modules['openvino'] = None; logging.basicConfig()\n"
        "from model.runtime import load_runtime\n"
        "print(load_runtime('small', 'cpu').engine.name)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == f"torch {OURS} on cpu", done.stderr
    assert "WARNING:passerby.model" in done.stderr
    assert "torch, not OpenVINO: OpenVINO can't be loaded" in done.stderr


def test_model_that_openvino_fails_on_runs_by_torch(
    tiny_encoder: DualEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Exception from src/core.cpp:1:\nno such CPU")

    monkeypatch.setattr(openvino_cpu, "OpenvinoEngine", fail)
    choice = choose_engine(tiny_encoder, Wish())
    assert choice.engine.name == f"torch {OURS} on cpu"
    assert choice.is_fallback
    assert choice.reasons[0] == (
        "torch, not OpenVINO: OpenVINO fails: Exception from src/core.cpp:1: no such CPU"
    )
    for wish in (Wish("openvino"), Wish(precision="int8")):
        with pytest.raises(ValueError, match=r"^(runtime|precision): .*OpenVINO fails"):
            choose_engine(tiny_encoder, wish)


def test_what_can_not_be_had_is_refused(tiny_encoder: DualEncoder) -> None:
    with pytest.raises(ValueError, match=r"^precision: int8 needs OpenVINO: torch is asked for"):
        choose_engine(tiny_encoder, Wish("torch", "int8"))
    with pytest.raises(ValueError, match=r"^runtime: expected one of auto, torch, openvino"):
        Wish(runtime="onnx")  # type: ignore[arg-type]


def test_ranges_for_int8_are_kept_and_damaged_ones_measured_anew(
    tiny_encoder: DualEncoder, tmp_path: Path
) -> None:
    wish = Wish(precision="int8", cache_dir=tmp_path / "models")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 16, 3), dtype=np.uint8)
    first_BD = choose_engine(tiny_encoder, wish).engine.encode_pixels(pixels)
    (kept,) = (tmp_path / "models").iterdir()
    assert kept.name == f"{tiny_encoder.fingerprint}-ranges.safetensors"
    written = kept.read_bytes()
    for content in (written, written[:100], b"junk"):
        kept.write_bytes(content)
        again_BD = choose_engine(tiny_encoder, wish).engine.encode_pixels(pixels)
        np.testing.assert_array_equal(again_BD, first_BD)
        assert kept.read_bytes() == written


def test_ranges_of_other_layers_or_no_numbers_are_measured_anew(
    tiny_encoder: DualEncoder, tmp_path: Path
) -> None:
    exact = load_ranges(tiny_encoder, tmp_path)
    (kept,) = tmp_path.iterdir()
    name = next(iter(exact))
    for wrong in (
        {"image.0.other": exact[name]},
        {**exact, name: exact[name][1:]},
        {**exact, name: exact[name] * np.float32("nan")},
    ):
        save_file(wrong, kept)
        again = load_ranges(tiny_encoder, tmp_path)
        assert set(again) == set(exact)
        np.testing.assert_array_equal(again[name], exact[name])
        np.testing.assert_array_equal(load_file(kept)[name], exact[name])


def test_ranges_that_can_not_be_kept_are_measured_each_time(
    tiny_encoder: DualEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = Path("/proc")  # there, yet no file can be made in it
    caplog.set_level(logging.WARNING, "passerby.model")
    first, second = (load_ranges(tiny_encoder, nowhere) for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert "can't be kept" in caplog.text


def test_the_shipped_model_and_a_foreign_file_run_the_same_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    foreign = DualEncoder(
        replace(
            TINY,
            image_size=(384, 128),
            embed_dim=512,
            vision={"layers": 2, "width": 64, "patch_size": 16},
            text={"layers": 2, "width": 64, "heads": 1},
        )
    )
    torch.save(foreign.clip.state_dict(), tmp_path / "other.pt")
    caplog.set_level(logging.INFO, "passerby.model")
    for name in ("small", f"file:{tmp_path / 'other.pt'}"):
        runtime, encoder = load_runtime(name, "cpu"), load_encoder(name, "cpu")
        assert runtime.engine.name == f"openvino {OURS} on cpu"
        assert f"the model runs on openvino {OURS} on cpu" in caplog.text
        assert runtime.fingerprint == encoder.fingerprint
        texts = ["a man in a red coat", "a woman with a bag"]
        cosine_B = (runtime.encode_text(texts) * encoder.encode_text(texts).numpy()).sum(axis=1)
        assert cosine_B.min() > 0.9995
        pixels = np.random.default_rng(0).integers(0, 256, (*encoder.image_size, 3), np.uint8)
        explained = runtime.explain(pixels, texts[0])
        picture_D = runtime.encode_image(pixels[None])[0]
        assert explained.similarity == pytest.approx(
            float(picture_D @ runtime.encode_text(texts[:1])[0]), abs=5e-3
        )


def test_weights_that_changed_meanwhile_explain_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "best"
    for seed in (0, 1):
        torch.manual_seed(seed)
        save_checkpoint(DualEncoder(TINY), folder, recipe={}, metrics={})
        if seed == 0:
            runtime = load_runtime(str(folder), "cpu")
    with pytest.raises(CheckpointError, match="the model's file is another's now"):
        runtime.explain(np.zeros((32, 16, 3), np.uint8), "a man")
