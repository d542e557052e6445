"""Reports on a tiny encoder: real encodings, hand-made names of datasets."""

import statistics
from dataclasses import replace

import pytest

from model.config import ObjectiveConfig
from model.data.records import Dataset
from model.encoder import DualEncoder
from model.errors import CheckpointError
from model.evaluate import evaluate_retrieval
from model.recipe import load_recipe
from model.relations import RelationReport
from model.reports.relations import RelationsReport, measure_mining, share_right
from model.reports.retrieval import CrossReport, RetrievalReport, measure_retrieval
from model.reports.robustness import RobustnessReport, measure_robustness
from model.reports.subject import Loaded, Subject
from model.reports.table import to_json


@pytest.fixture
def loaded(tiny_encoder: DualEncoder, coloured: Dataset) -> Loaded:
    pairs = coloured.test
    subject = Subject("tiny", tiny_encoder.fingerprint, None, "own", "test", 32, 32, 16)
    return Loaded(subject, tiny_encoder, pairs, {})


def on(loaded: Loaded, dataset: str, split: str = "test", model: str = "tiny") -> Loaded:
    subject = replace(loaded.subject, dataset=dataset, split=split, model=model)
    return replace(loaded, subject=subject)


def test_retrieval_stands_beside_what_was_published_of_the_same_dataset(loaded: Loaded) -> None:
    ours = evaluate_retrieval(loaded.encoder, loaded.pairs)
    own = RetrievalReport(0.0, measure_retrieval([loaded])).table()
    assert own.columns == ("model", "R@1", "R@5", "R@10", "mAP", "mINP")
    assert own.rows == (("tiny", ours.r1, ours.r5, ours.r10, ours.map, ours.minp),)
    assert not own.notes
    cuhk = RetrievalReport(0.0, measure_retrieval([on(loaded, "cuhk-pedes")])).table()
    published = {row[0]: row[1:] for row in cuhk.rows[1:]}
    assert published["Zhang et al. 2025 [published]"] == (73.06, None, None, 64.88, None)
    assert published["Zhang et al. 2025, B [published]"][0] == 64.69
    assert published["CMMT [published]"][0] == 57.10
    on_train = measure_retrieval([on(loaded, "cuhk-pedes", split="train")])
    assert len(RetrievalReport(0.0, on_train).table().rows) == 1


def test_several_datasets_are_told_apart(loaded: Loaded) -> None:
    both = measure_retrieval([loaded, on(loaded, "rstpreid")])
    table = RetrievalReport(0.0, both).table()
    assert table.columns[:2] == ("model", "dataset")
    assert [row[1] for row in table.rows[:3]] == ["own", "rstpreid", "rstpreid"]


def test_cross_is_a_matrix_with_the_published_one_below(loaded: Loaded) -> None:
    asked = [
        on(loaded, dataset, model=model)
        for model in ("a", "b")
        for dataset in ("own", "icfg-pedes")
    ]
    report = CrossReport(measure_retrieval(asked))
    table, r1 = report.table(), report.measured[0].metrics.r1
    assert table.columns[2:] == ("own R@1", "own mAP", "icfg-pedes R@1", "icfg-pedes mAP")
    assert [row[0] for row in table.rows] == ["a", "b", *["Zhang et al. 2025 [published]"] * 3]
    assert table.rows[0][2] == table.rows[1][4] == r1
    assert table.rows[2][1:] == ("cuhk-pedes", None, None, 42.43, 21.51)


def test_robustness_is_mean_and_deviation_over_seeds(loaded: Loaded) -> None:
    report = RobustnessReport(measure_robustness([on(loaded, "cuhk-pedes")], [0.0, 0.5], 3))
    runs = [
        evaluate_retrieval(loaded.encoder, loaded.pairs, mask_ratio=0.5, seed=seed).r1
        for seed in range(3)
    ]
    table = report.table()
    assert table.columns[:5] == ("model", "hidden %", "seeds", "R@1", "± R@1")
    assert table.rows[0][1:5] == (0.0, 1, report.measured[0].runs[0].r1, None)
    expected = (50.0, 3, statistics.fmean(runs), statistics.stdev(runs))
    assert table.rows[1][1:5] == pytest.approx(expected)
    halves = [row[:4] for row in table.rows if row[1] == 50.0][1:]
    assert halves == [
        ("Zhang et al. 2025 [published]", 50.0, None, 35.41),
        ("IRRA [published]", 50.0, None, 31.79),
    ]
    with pytest.raises(ValueError, match="expected ratios within"):
        measure_robustness([loaded], [1.5], 3)


def test_relations_are_judged_at_the_cards_thresholds(loaded: Loaded) -> None:
    objective = ObjectiveConfig(image_threshold=-1.0, text_threshold=-1.0, bank_threshold=-1.0)
    card = {"recipe": {"objective": vars(objective), "batch_size": 32, "seed": 0}}
    on_train = replace(on(loaded, "icfg-pedes", split="train"), card=card)
    report = RelationsReport(measure_mining([on_train], None))
    found = report.measured[0].found
    # everything is related to everything: of 31 others, one shows the same person
    assert (found.local_mined, found.global_mined) == (32 * 31, 32 * 3)
    assert found.local_right == pytest.approx(100 / 31)
    table = report.table()
    assert table.rows[0][-1] == pytest.approx(share_right(found))
    assert table.rows[1] == ("Zhang et al. 2025 [published]", *[None] * 6, 75.0)
    assert '"top_k": 3' in to_json(report)


def test_relations_need_a_recipe_where_the_card_has_none(loaded: Loaded) -> None:
    with pytest.raises(CheckpointError, match="tiny: its card does not say how"):
        measure_mining([loaded], None)
    recipe = load_recipe("small", ["batch_size=8"])
    assert measure_mining([loaded], recipe)[0].mining.batch_size == 8


def test_share_of_all_relations_weighs_by_number() -> None:
    assert share_right(RelationReport(10, 50.0, None, 30, 90.0, None)) == 80
    assert share_right(RelationReport(0, None, None, 4, 25.0, None)) == 25
    assert share_right(RelationReport(0, None, None, 0, None, None)) is None
