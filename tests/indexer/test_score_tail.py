"""What a best score says, against best scores that are simply drawn."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.change_log import IndexRow
from indexer.index.gallery_view import GalleryView
from indexer.index.lots import draw_lots
from indexer.index.score_tail import (
    FEWEST_WORDS,
    Gumbel,
    MatchScores,
    fit_gumbel,
    fit_strangers,
    judge_score,
    nearest_length,
)
from indexer.records import Filters

STRANGERS = Gumbel(location=0.5, scale=0.03)
MATCHES = MatchScores(words=(6, 12, 28), mean=(0.3, 0.4, 0.6), deviation=(0.1, 0.1, 0.07))


def test_gumbel_is_fitted_and_told_for_more_pictures() -> None:
    scores_RS = np.random.default_rng(0).normal(0.1, 0.1, (4000, 800)).astype(np.float32)
    few, all_of_them = fit_gumbel(scores_RS[:, :200].max(axis=1)), scores_RS.max(axis=1)
    for score in np.quantile(all_of_them, [0.3, 0.6, 0.9, 0.97]):
        drawn = float((all_of_them >= score).mean())
        assert few.of_more(4).above(float(score)) == pytest.approx(drawn, abs=0.06)
    assert few.above(-50) == 1 and 0 <= few.above(50) < 1e-9


def test_strangers_best_scores_come_from_the_pictures_themselves() -> None:
    generator = np.random.default_rng(1)
    reference_RD = generator.normal(size=(50, 8)).astype(np.float32)
    pictures_SD = generator.normal(size=(30, 8)).astype(np.float16)
    fitted = fit_strangers(reference_RD, pictures_SD)
    best = [max(float(r @ p) for p in pictures_SD.astype(np.float32)) for r in reference_RD]
    assert fitted.location == pytest.approx(fit_gumbel(np.array(best, np.float32)).location, 1e-5)
    with pytest.raises(ValueError, match="more than 0"):
        fit_strangers(np.ones((5, 8), np.float32), pictures_SD)


@pytest.mark.parametrize(
    ("score", "num_words", "match"),
    [
        (0.65, 28, "likely"),  # as a true picture scores
        (0.48, 28, "unlikely"),  # as strangers do, and far below a true picture
        (0.55, 28, "unclear"),  # both may score so
        (0.51, 12, "unclear"),  # a short description's true picture scores no better
        (0.45, 12, "unclear"),  # low, but of people who are there as often
        (0.60, 6, "unclear"),  # high, but of people who are not there nearly as often
        (0.65, FEWEST_WORDS - 1, "unclear"),  # too few words, whatever they score
        (0.2, FEWEST_WORDS - 1, "unclear"),
    ],
)
def test_judge_weighs_both_mistakes(score: float, num_words: int, match: str) -> None:
    assert judge_score(score, num_words, STRANGERS, MATCHES).match == match


def test_judge_is_kept_to_its_rates() -> None:
    """Drawn from the two distributions, no more than promised are called wrongly."""
    generator = np.random.default_rng(2)
    strangers = generator.gumbel(STRANGERS.location, STRANGERS.scale, 4000)
    own = generator.normal(0.6, 0.07, 4000)
    there = [judge_score(s, 28, STRANGERS, MATCHES).match for s in np.maximum(strangers, own)]
    absent = [judge_score(s, 28, STRANGERS, MATCHES).match for s in strangers]
    assert there.count("unlikely") / 4000 == pytest.approx(0.1, abs=0.02)
    assert absent.count("likely") / 4000 == pytest.approx(0.05, abs=0.02)
    assert there.count("likely") > 0.4 * 4000 and absent.count("unlikely") > 0.5 * 4000


def test_match_scores_refuse_what_does_not_fit_together() -> None:
    with pytest.raises(ValueError, match="a mean for each"):
        MatchScores((6, 12), (0.3,), (0.1,))
    with pytest.raises(ValueError, match="above 0"):
        MatchScores((6,), (0.3,), (0.0,))


def test_nearest_length_goes_by_ratio() -> None:
    assert [nearest_length(n, (6, 12, 28)) for n in (0, 7, 10, 19, 500)] == [6, 6, 12, 28, 28]


def test_view_samples_the_matches_with_the_smallest_lots() -> None:
    view = GalleryView(2)
    view.update(
        (),
        [
            IndexRow(n, 1, n, "even" if n % 2 == 0 else "odd", None, (), np.full(2, n, np.float16))
            for n in range(1, 11)
        ],
    )
    vectors_SD, matches = view.sample(3, Filters(cameras=frozenset({"even"})))
    even = np.arange(2, 11, 2)
    assert (vectors_SD[:, 0].tolist(), matches) == (
        even[np.argsort(draw_lots(even))][:3].tolist(),
        5,
    )
    everything, matches = view.sample(100, Filters())
    assert (sorted(everything[:, 0].tolist()), matches) == (list(range(1, 11)), 10)
    assert GalleryView(2).sample(5, Filters())[1] == 0


def test_lots_are_spread_over_all_that_there_are() -> None:
    lots_N = draw_lots(np.arange(1, 10_001))
    assert len(np.unique(lots_N)) == 10_000
    counts, _ = np.histogram(lots_N.astype(np.float64), 20, (0.0, 2.0**63))
    assert counts.min() > 420  # 500 each, with a deviation of 22
    assert counts.max() < 580
