import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model import load_encoder
from model.card import CARD, read_card
from model.checkpoint import WEIGHTS, load_checkpoint, save_checkpoint
from model.encoder import DualEncoder
from model.errors import CheckpointError, WeightsUnavailableError
from tests.model.conftest import TINY

TEXTS = ["a man in a red coat", "a woman"]


@pytest.fixture
def folder(tmp_path: Path, tiny_encoder: DualEncoder) -> Path:
    save_checkpoint(tiny_encoder, tmp_path / "c", recipe={"name": "test"}, metrics={"r1": 1.5})
    return tmp_path / "c"


def test_checkpoint_comes_back_the_same(folder: Path, tiny_encoder: DualEncoder) -> None:
    loaded = load_encoder(str(folder), device="cpu")
    assert loaded.fingerprint == tiny_encoder.fingerprint
    assert loaded.architecture == TINY
    assert torch.equal(loaded.encode_text(TEXTS), tiny_encoder.encode_text(TEXTS))
    assert read_card(folder)["recipe"] == {"name": "test"}
    assert read_card(folder)["metrics"] == {"r1": 1.5}


def test_checkpoint_in_half_precision_keeps_its_name(
    tmp_path: Path, tiny_encoder: DualEncoder
) -> None:
    named = save_checkpoint(
        tiny_encoder, tmp_path / "half", recipe={}, metrics={}, dtype=torch.float16
    )
    loaded = load_checkpoint(tmp_path / "half")
    assert loaded.fingerprint == named != tiny_encoder.fingerprint
    cosine = (loaded.encode_text(TEXTS) * tiny_encoder.encode_text(TEXTS)).sum(dim=1)
    assert (cosine > 0.9999).all()


def test_saving_replaces_the_checkpoint_before(folder: Path, tiny_encoder: DualEncoder) -> None:
    save_checkpoint(tiny_encoder, folder, recipe={"name": "second"}, metrics={})
    assert read_card(folder)["recipe"] == {"name": "second"}
    assert sorted(path.name for path in folder.parent.iterdir()) == ["c"]


def test_altered_weights_are_refused(folder: Path) -> None:
    path = folder / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not those the checkpoint was saved with"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / WEIGHTS).write_bytes(b"junk"), "not readable as safetensors"),
        (lambda f: (f / WEIGHTS).unlink(), "missing"),
        (lambda f: (f / CARD).write_text("{"), "not readable as JSON"),
        (lambda f: (f / CARD).write_text("[]"), "expected checkpoint format 1"),
        (lambda f: (f / CARD).write_text('{"format": 99}'), "expected checkpoint format 1, got 99"),
        (lambda f: (f / CARD).write_text('{"format": 1}'), "architecture"),
    ],
)
def test_spoiled_checkpoint_is_refused_in_one_line(folder: Path, spoil, message: str) -> None:
    spoil(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(folder)
    assert "\n" not in str(caught.value)


def test_weights_of_another_architecture_are_refused(folder: Path) -> None:
    card = json.loads((folder / CARD).read_text())
    card["architecture"]["embed_dim"] = 8
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(CheckpointError):
        load_checkpoint(folder)


def test_unknown_name_says_what_is_known() -> None:
    with pytest.raises(CheckpointError, match=r"'nothing-here'.*checkpoint folder.*file:PATH"):
        load_encoder("nothing-here")
    with pytest.raises(CheckpointError, match=r"no such published weights, known: .*openai"):
        load_encoder("ViT-B-16:nonsense")


def test_unreachable_weights_say_what_to_fetch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsUnavailableError, match=r"Fetch timm/vit_base_patch16_clip.*file:"):
        load_encoder("ViT-B-16:openai")


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_weight_file_in_openais_naming_loads_at_a_persons_shape(tmp_path: Path, kind: str) -> None:
    from open_clip.model import CLIP

    torch.manual_seed(1)
    source = CLIP(
        64,
        {"layers": 2, "width": 64, "patch_size": 16, "image_size": 224},
        {"layers": 2, "width": 64, "heads": 1, "vocab_size": 49408},
        quick_gelu=True,
    ).eval()
    path = tmp_path / f"clip.{kind}"
    state = {name: tensor.contiguous() for name, tensor in source.state_dict().items()}
    save_file(state, path) if kind == "safetensors" else torch.save(state, path)
    encoder = load_encoder(f"file:{path}", device="cpu")
    assert encoder.image_size == (384, 128)
    assert encoder.clip.visual.positional_embedding.shape == (24 * 8 + 1, 64)
    tokens = torch.zeros(1, 77, dtype=torch.long)
    tokens[0, :3] = torch.tensor([49406, 320, 49407])
    torch.testing.assert_close(encoder.text_features(tokens), source.encode_text(tokens))


def test_bad_weight_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailableError, match="no such weight file"):
        load_encoder(f"file:{tmp_path / 'absent.pt'}")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="not readable as weights"):
        load_encoder(f"file:{tmp_path / 'junk.pt'}")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="not a CLIP with ViT towers"):
        load_encoder(f"file:{tmp_path / 'other.pt'}")
