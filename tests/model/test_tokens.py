import torch
from open_clip.tokenizer import SimpleTokenizer

from model.tokens import (
    END_TOKEN,
    MASK_TOKEN,
    START_TOKEN,
    count_tokens,
    mask_tokens,
    tokenize,
)


def test_mask_token_is_the_last_merge_of_the_vocabulary() -> None:
    tokenizer = SimpleTokenizer()
    assert tokenizer.encoder["<start_of_text>"] == START_TOKEN == MASK_TOKEN + 1
    assert tokenizer.encoder["<end_of_text>"] == END_TOKEN
    assert MASK_TOKEN == 49405
    text = "a woman in a dark red coat, grey jeans & white trainers; 42 years old?"
    assert MASK_TOKEN not in tokenizer.encode(text)


def test_tokenize_trims_to_the_longest_text() -> None:
    tokens_BL = tokenize(["a man", "a man in a hat"])
    assert tokens_BL.shape == (2, 7)
    assert tokens_BL[0].tolist()[3:] == [END_TOKEN, 0, 0, 0]


def test_tokenize_cuts_long_texts_but_keeps_the_end_token() -> None:
    text = "red " * 100
    tokens_BL = tokenize([text])
    assert tokens_BL.shape == (1, 77)
    assert tokens_BL[0, 0] == START_TOKEN
    assert tokens_BL[0, -1] == END_TOKEN
    assert (tokens_BL[0, 1:-1] == tokenize(["red"])[0, 1]).all()
    assert count_tokens(text) == 102


def test_mask_tokens_spares_special_tokens_and_masks_at_the_ratio() -> None:
    tokens_BL = tokenize(["a man in a red coat with a large black backpack"] * 400 + ["hat"])
    masked_BL = mask_tokens(tokens_BL, 0.5, torch.Generator().manual_seed(0))
    changed_BL = masked_BL != tokens_BL
    assert (masked_BL[changed_BL] == MASK_TOKEN).all()
    special_BL = (tokens_BL == START_TOKEN) | (tokens_BL == END_TOKEN) | (tokens_BL == 0)
    assert not (changed_BL & special_BL).any()
    share = changed_BL[:400].sum() / (~special_BL[:400]).sum()
    assert 0.45 < share < 0.55


def test_mask_tokens_masks_at_least_one_word() -> None:
    tokens_BL = tokenize(["a man in a hat"] * 50)
    masked_BL = mask_tokens(tokens_BL, 1e-9, torch.Generator().manual_seed(0))
    assert ((masked_BL == MASK_TOKEN).sum(dim=1) == 1).all()


def test_mask_tokens_leaves_an_empty_text_alone() -> None:
    tokens_BL = tokenize([""])
    assert (mask_tokens(tokens_BL, 1.0, torch.Generator()) == tokens_BL).all()
