"""Figures say what they were given, and not by colour alone."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from model.attention import Attention, WordWeight
from model.errors import ModelError
from model.viz.attention import Explained, draw_attention
from model.viz.curves import draw_curves, read_run
from model.viz.embedding_map import draw_embedding_map, project
from model.viz.paper import save_figure
from model.viz.retrieval_sheet import Answer, draw_retrieval_sheet

PICTURE = np.full((96, 32, 3), 120, np.uint8)


def words_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]  # type: ignore[attr-defined]


def write_run(folder: Path, num_epochs: int, *, relations: bool = True) -> Path:
    folder.mkdir()
    rows = []
    for epoch in range(1, num_epochs + 1):
        row = {
            "epoch": epoch,
            "losses": {"info_nce": 3 / epoch, "consistency": 5 / epoch},
            "val": {"r1": 10.0 * epoch, "map": 9.0 * epoch},
        }
        if relations:
            row["relations"] = {"local_right": None, "global_right": 20.0 * epoch}
        rows.append(json.dumps(row))
    (folder / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    return folder


def test_figure_is_saved_as_png_and_svg(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", 3))
    png, svg = save_figure(draw_curves([run]), tmp_path / "new" / "run.v2.png")
    assert (png.name, svg.name) == ("run.v2.png", "run.v2.svg")
    with Image.open(png) as image:
        assert image.width > 1500
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="can't be written"):
        save_figure(draw_curves([run]), tmp_path / "file" / "x")


def test_map_tells_kinds_by_shape_and_people_by_number() -> None:
    generator = np.random.default_rng(0)
    middles = generator.normal(size=(3, 16))
    identity_N = np.repeat([7, 8, 9], 6)
    features_ND = middles[identity_N - 7] + 0.05 * generator.normal(size=(18, 16))
    xy_N2 = project(features_ND.astype(np.float32), seed=1)
    np.testing.assert_array_equal(xy_N2, project(features_ND.astype(np.float32), seed=1))
    near, far = _distances(xy_N2, identity_N)
    assert far > 2 * near
    figure = draw_embedding_map(xy_N2, identity_N, np.arange(18) % 2 == 1)
    assert {"1", "2", "3", "picture", "caption"} <= set(words_of(figure))
    shapes = [points.get_paths()[0].vertices.shape for points in figure.axes[0].collections]
    assert len(shapes) == 6
    assert shapes[0::2] != shapes[1::2]


def _distances(xy_N2: np.ndarray, identity_N: np.ndarray) -> tuple[float, float]:
    """Mean distance between points of one person, and of two."""
    distance_NN = np.linalg.norm(xy_N2[:, None] - xy_N2[None], axis=2)
    same_NN = identity_N[:, None] == identity_N[None]
    return float(distance_NN[same_NN].mean()), float(distance_NN[~same_NN].mean())


def test_map_of_too_few_points_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 points, got 3"):
        project(np.eye(3, dtype=np.float32))


def test_attention_shows_each_word_with_its_weight() -> None:
    words = tuple(
        WordWeight(word, 0, 0, weight) for word, weight in (("a", 0.1), ("red", 1.0), ("coat", 0.6))
    )
    grid_RC = np.zeros((8, 3), np.float32)
    grid_RC[2, 1] = 1
    figure = draw_attention([Explained(PICTURE, Attention(words, grid_RC, 0.512))])
    bars = figure.axes[2]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["a", "red", "coat"]
    assert [bar.get_width() for bar in bars.patches] == [0.1, 1.0, 0.6]
    assert [label.get_fontweight() == "bold" for label in bars.get_yticklabels()] == [
        *(False, True, True),
    ]
    assert "cosine 0.51" in words_of(figure)
    blank = Attention((), np.zeros((8, 3), np.float32), 0.0)
    draw_attention([Explained(PICTURE, blank)]).canvas.draw()


def test_sheet_marks_right_and_wrong_by_word_and_frame() -> None:
    answers = [
        Answer("a man, " * 30, [PICTURE] * 3, [0.5, 0.4, 0.3], [False, True, False], 2),
        Answer("a woman", [PICTURE], [0.9], [False], 1),
    ]
    figure = draw_retrieval_sheet(answers)
    marks = [axes.get_xlabel() for row in figure.subfigs for axes in row.axes if axes.axison]
    assert marks == ["wrong", "right", "wrong", "wrong"]
    frames = [axes.spines["top"] for axes in figure.subfigs[0].axes]
    assert frames[1].get_linewidth() > 2 * frames[0].get_linewidth()
    assert frames[0].get_linestyle() != frames[1].get_linestyle()
    titles = [" ".join(row.get_suptitle().split()) for row in figure.subfigs]
    assert titles[0].endswith("(1 of 2 found among 3, first at rank 2)")
    assert titles[1].endswith("(0 of 1 found among 1)")


def test_curves_tell_runs_by_marker_and_measures_by_line(tmp_path: Path) -> None:
    runs = [
        read_run(write_run(tmp_path / "full", 4)),
        read_run(write_run(tmp_path / "baseline", 3, relations=False)),
    ]
    figure = draw_curves(runs)
    ranking, loss, relations = figure.axes
    looks = [(line.get_marker(), line.get_linestyle()) for line in ranking.lines]
    assert len(set(looks)) == 4
    assert looks[0][0] == looks[1][0] != looks[2][0] == looks[3][0]
    assert list(ranking.lines[0].get_ydata()) == [10, 20, 30, 40]
    assert (len(loss.lines), loss.get_title()) == (2, "InfoNCE loss")
    assert list(relations.lines[0].get_ydata()) == [20, 40, 60, 80]
    assert np.isnan(relations.lines[1].get_ydata()).all()
    assert {"full", "baseline"} <= set(words_of(figure))
    assert len(draw_curves(runs[1:]).axes) == 2  # without relations, no empty panel


def test_run_keeps_the_last_row_of_an_epoch_and_names_a_bad_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 2)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"epoch": 2, "losses": {}, "val": {"r1": 77.0}}) + "\n")
    run = read_run(folder)
    assert (run.epochs, run.values("val", "r1")) == ((1, 2), [10.0, 77.0])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(ModelError, match=r"metrics.jsonl\[4\]: expected a row with an epoch"):
        read_run(folder)
    with pytest.raises(ModelError, match="no metrics of a run here"):
        read_run(tmp_path)
