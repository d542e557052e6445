import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from model import load_encoder
from model.card import read_card
from model.checkpoint_import import ImportReport, import_checkpoint, read_encoder
from model.encoder import build_clip
from model.errors import CheckpointError
from model.foreign.architecture import choose_grid, read_architecture, resize_positions
from model.tokens import tokenize
from tests.model import clip_oracle
from tests.model.clip_oracle import State, as_floats, as_half, irra_layout, random_clip

TEXTS = ["a man in a red coat", "a woman with a long white skirt and a grey backpack"]


@pytest.fixture(scope="module")
def state() -> State:
    return random_clip()


def assert_same_features(
    folder: Path, state: State, size: tuple[int, int] = (96, 32), quick_gelu: bool = True
) -> None:
    """The checkpoint gives what CLIP's definition gives with these weights, raw, to 1e-4."""
    encoder = load_encoder(str(folder), device="cpu")
    assert encoder.image_size == size
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    tokens = tokenize(TEXTS)
    padded = torch.nn.functional.pad(tokens, (0, 77 - tokens.shape[1]))
    expected = clip_oracle.image_features(as_floats(state), pixels, quick_gelu=quick_gelu)
    torch.testing.assert_close(encoder.image_features(pixels), expected, atol=1e-4, rtol=0)
    expected = clip_oracle.text_features(as_floats(state), padded, quick_gelu=quick_gelu)
    torch.testing.assert_close(encoder.text_features(tokens), expected, atol=1e-4, rtol=0)
    assert expected.std() > 0.1  # far above the tolerance


def assert_explained(report: ImportReport, names: set[str]) -> None:
    """Every name of the file is used or dropped, none twice."""
    assert len(report.used) == len(set(report.used))
    assert not set(report.used) & report.dropped.keys()
    assert set(report.used) | report.dropped.keys() == names
    assert all(report.dropped.values())


def test_irra_checkpoint_gives_its_own_features(tmp_path: Path, state: State) -> None:
    weights = irra_layout(as_half(state))
    optimizer = torch.optim.Adam([torch.zeros(2, requires_grad=True)]).state_dict()
    content = {"model": weights, "optimizer": optimizer, "scheduler": {"milestones": (1,)}}
    torch.save({**content, "epoch": 3, "num_epoch": 60, "iteration": 0}, tmp_path / "best.pth")
    report = import_checkpoint(tmp_path / "best.pth", tmp_path / "out")
    assert_same_features(tmp_path / "out", as_half(state))
    beside = {"optimizer", "scheduler", "epoch", "num_epoch", "iteration"}
    assert_explained(report, weights.keys() | beside)
    assert report.dropped["classifier.bias"] == "identity classifier of training"
    assert list(report.missing) == ["logit_scale"]
    assert (report.system, report.resized) == ("irra", None)
    source = read_card(tmp_path / "out")["recipe"]["source"]
    assert (source["file"], source["system"]) == ("best.pth", "irra")
    assert source["sha256"] == report.sha256
    assert re.fullmatch("[0-9a-f]{64}", report.sha256)
    assert load_encoder(f"file:{tmp_path / 'best.pth'}", "cpu").image_size == (384, 128)


def test_dgcmia_checkpoint_of_several_gpus_gives_its_own_features(
    tmp_path: Path, state: State
) -> None:
    weights = irra_layout(as_half(state), prefix="module.")
    for bank in ("img_memory", "txt_memory"):
        weights[f"module.{bank}"] = torch.rand(7, 32).half()
    torch.save({"model": weights}, tmp_path / "best.pth", _use_new_zipfile_serialization=False)
    report = import_checkpoint(tmp_path / "best.pth", tmp_path / "out")
    assert_same_features(tmp_path / "out", as_half(state))
    assert_explained(report, set(weights))
    assert report.system == "dgcmia"
    assert report.dropped["module.img_memory"] == "memory bank of training"


def test_jit_archive_is_read_without_its_code(tmp_path: Path, state: State) -> None:
    clip_oracle.save_jit_archive(as_half(state), tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole:
        names = [name for name in whole.namelist() if "/code/" not in name]
        assert len(names) < len(whole.namelist())
        with zipfile.ZipFile(tmp_path / "ViT.pt", "w") as stripped:
            for name in names:
                stripped.writestr(name, whole.read(name))
    report = import_checkpoint(tmp_path / "ViT.pt", tmp_path / "out")
    assert_same_features(tmp_path / "out", as_half(state))
    sizes = {"input_resolution", "context_length", "vocab_size"}
    assert_explained(report, state.keys() | sizes | {"transformer.resblocks.0.attn_mask"})
    assert report.system == "openai"
    assert not report.missing
    _, whole_report = read_encoder(tmp_path / "whole.pt")
    assert whole_report.used == report.used


@pytest.mark.parametrize("quick_gelu", [True, False])
def test_open_clip_checkpoint_needs_its_activation(
    tmp_path: Path, state: State, quick_gelu: bool
) -> None:
    path = tmp_path / "epoch_1.pt"
    if quick_gelu:
        save_file(state, path)
    else:
        wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
        torch.save({"epoch": 1, "name": "run", "state_dict": wrapped, "optimizer": {}}, path)
    with pytest.raises(CheckpointError, match=r"epoch_1\.pt: .*activation; say --activation"):
        import_checkpoint(path, tmp_path / "out")
    report = import_checkpoint(path, tmp_path / "out", quick_gelu=quick_gelu)
    assert report.system == "open_clip"
    assert_same_features(tmp_path / "out", state, quick_gelu=quick_gelu)


def test_square_grid_is_resized_only_when_asked(tmp_path: Path) -> None:
    square = random_clip((4, 4), layers=2)
    path = tmp_path / "clip.pt"
    torch.save(square, path)
    report = import_checkpoint(path, tmp_path / "own", quick_gelu=True)
    assert report.resized is None
    assert_same_features(tmp_path / "own", square, (64, 64))
    report = import_checkpoint(path, tmp_path / "tall", image_size=(96, 32), quick_gelu=True)
    assert report.resized == ((4, 4), (6, 2))
    positions = resize_positions(square["visual.positional_embedding"], (4, 4), (6, 2))
    tall = {**square, "visual.positional_embedding": positions}
    assert_same_features(tmp_path / "tall", tall)


@pytest.mark.parametrize(
    ("name", "quick_gelu", "mean"),
    [
        ("ViT-B-16:openai", True, (0.48145466, 0.4578275, 0.40821073)),
        ("ViT-B-16:laion2b_s34b_b88k", False, (0.48145466, 0.4578275, 0.40821073)),
        ("ViT-L-14:laion2b_s32b_b82k", False, (0.5, 0.5, 0.5)),
    ],
)
def test_published_name_tells_what_weights_do_not(
    tmp_path: Path,
    state: State,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    quick_gelu: bool,
    mean: tuple[float, float, float],
) -> None:
    save_file(state, tmp_path / "open_clip_model.safetensors")
    fetched = str(tmp_path / "open_clip_model.safetensors")
    monkeypatch.setattr(open_clip, "download_pretrained", lambda _config: fetched)
    architecture = load_encoder(name, "cpu").architecture
    assert (architecture.quick_gelu, architecture.image_mean) == (quick_gelu, mean)


def test_positions_are_resized_bilinearly() -> None:
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    ramp = torch.stack([rows, columns], -1).reshape(16, 2)
    resized = resize_positions(torch.cat([torch.full((1, 2), 9.0), ramp]), (4, 4), (8, 2))
    assert resized[0].tolist() == [9, 9]
    assert resized.shape == (17, 2)
    # centres of the new rows lie at a quarter and three quarters of the old, ends are held
    assert resized[1:, 0].reshape(8, 2)[:, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    assert resized[1:, 1].reshape(8, 2)[0].tolist() == [0.5, 2.5]


@pytest.mark.parametrize(
    ("patches", "patch", "asked", "grid", "size"),
    [
        (192, 16, None, (24, 8), (384, 128)),  # the published ones
        (243, 14, None, (27, 9), (384, 128)),  # ViT-L/14: 6 and 2 pixels are left over
        (196, 16, None, (14, 14), (224, 224)),
        (196, 16, (384, 128), (14, 14), (384, 128)),
        (12, 16, None, (6, 2), (96, 32)),
        (128, 16, (256, 128), (16, 8), (256, 128)),  # neither, so it has to be said
    ],
)
def test_grid_is_told_by_the_number_of_patches(
    patches: int,
    patch: int,
    asked: tuple[int, int] | None,
    grid: tuple[int, int],
    size: tuple[int, int],
) -> None:
    assert choose_grid(patches, patch, asked) == (grid, size)


def test_grid_that_fits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"128 patches are neither square nor.*--image-size"):
        choose_grid(128, 16, None)
    with pytest.raises(ValueError, match="310 patches, but 384x128 has 24x8"):
        choose_grid(310, 16, (384, 128))


@pytest.mark.parametrize(
    "name", ["ViT-B-32", "ViT-L-14-336", "ViT-H-14", "ViT-g-14", "ViT-bigG-14"]
)
def test_architecture_is_open_clips_own(name: str) -> None:
    config = open_clip.get_model_config(name)
    with torch.device("meta"):
        source = open_clip.model.CLIP(**config)
    told, _ = read_architecture(source.state_dict(), image_size=None, quick_gelu=False)
    size = config["vision_cfg"]["image_size"]
    assert told.image_size == (size, size)
    with torch.device("meta"):
        ours = build_clip(told)
    shapes = [{n: t.shape for n, t in clip.state_dict().items()} for clip in (source, ours)]
    assert shapes[0] == shapes[1]
    for tower in ("visual.transformer", "transformer"):
        heads = [c.get_submodule(tower).resblocks[0].attn.num_heads for c in (source, ours)]
        assert heads[0] == heads[1]


def rename(old: str, new: str) -> Callable[[State], None]:
    def apply(weights: State) -> None:
        weights[new] = weights.pop(old)

    return apply


def put(name: str, tensor: Tensor) -> Callable[[State], None]:
    return lambda weights: weights.update({name: tensor})


PROJ = "base_model.visual.proj"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (put("base_model.visual.extra", torch.zeros(1)), r"explained: base_model\.visual\.extra;"),
        (put("teacher.weight", torch.zeros(1)), r"not explained: teacher\.weight;"),
        (put("classifier2.weight", torch.zeros(1)), r"not explained: classifier2\.weight;"),
        (put("logit_bias", torch.zeros(1)), r"not explained: logit_bias;"),
        (rename(PROJ, "student.base_model.visual.proj"), r"explained: student\.base_model"),
        (rename(PROJ, "visual.proj"), r"not explained: visual\.proj;"),
        (rename(PROJ, "module.base_model.visual.proj"), r"explained: module\.base_model"),
        (lambda weights: weights.pop(PROJ), r"towers: missing base_model\.visual\.proj"),
        (put(PROJ, torch.zeros(32, 128)), r"visual\.proj: expected \(128, 32\), got \(32, 128\)"),
        (put(PROJ, torch.full((128, 32), torch.nan)), r"visual\.proj: holds .* not finite"),
        (put(PROJ, torch.zeros(128, 32).byte()), r"visual\.proj: expected floating-point"),
    ],
)
def test_whatever_is_not_explained_is_an_error(
    tmp_path: Path, state: State, spoil: Callable[[State], object], message: str
) -> None:
    weights = irra_layout(state)
    spoil(weights)
    torch.save({"model": weights}, tmp_path / "best.pth")
    with pytest.raises(CheckpointError, match=message) as caught:
        import_checkpoint(tmp_path / "best.pth", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "best.pth") in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_unknown_content_beside_the_weights_is_an_error(tmp_path: Path, state: State) -> None:
    torch.save({"model": irra_layout(state), "ema": {"a": torch.zeros(1)}}, tmp_path / "best.pth")
    with pytest.raises(CheckpointError, match="not explained: ema;"):
        import_checkpoint(tmp_path / "best.pth", tmp_path / "out")


def test_a_folder_that_is_no_checkpoint_is_left_alone(tmp_path: Path, state: State) -> None:
    torch.save({"model": irra_layout(state)}, tmp_path / "best.pth")
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointError, match="is there already and is no checkpoint"):
        import_checkpoint(tmp_path / "best.pth", tmp_path / "out")
