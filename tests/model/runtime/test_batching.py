import numpy as np

from model.runtime.batching import SPARE, group_by_length
from model.tokens import tokenize


def test_groups_hold_every_text_once_and_little_padding() -> None:
    texts = ["a man " + "in red " * (n % 30) for n in range(100)]
    tokens_BL = tokenize(texts).numpy()
    lengths_B = tokens_BL.argmax(axis=1) + 1
    seen = []
    for rows, tokens in group_by_length(tokens_BL, 16):
        seen += list(rows)
        assert len(rows) == len(tokens) <= 16
        assert tokens.shape[1] == lengths_B[rows].max()
        assert 1 - lengths_B[rows].sum() / tokens.size <= SPARE
        for row, kept in zip(rows, tokens, strict=True):
            np.testing.assert_array_equal(kept, tokens_BL[row, : len(kept)])
    assert sorted(seen) == list(range(100))


def test_a_text_alone_is_cut_to_its_end() -> None:
    ((rows, tokens),) = group_by_length(np.array([[49406, 320, 49407, 0, 0]]), 8)
    assert rows.tolist() == [0]
    assert tokens.tolist() == [[49406, 320, 49407]]
