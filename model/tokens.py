"""Text to tokens: CLIP's byte-pair tokenizer, trimmed, with a mask token."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

MASK_TOKEN = 49405
"""`<|mask|>`: the last merge of CLIP's vocabulary, which English text never needs."""
START_TOKEN = 49406
END_TOKEN = 49407
PAD_TOKEN = 0


@lru_cache(maxsize=1)
def _tokenizer() -> SimpleTokenizer:
    return SimpleTokenizer()


def encode(text: str) -> list[int]:
    """The tokens of a text before any cut, without start and end token."""
    tokens: list[int] = _tokenizer().encode(text)
    return tokens


def count_tokens(text: str) -> int:
    """Tokens of a text before any cut, start and end token included."""
    return len(encode(text)) + 2


def tokenize(texts: Sequence[str], context_length: int = 77) -> Tensor:
    """Texts to (B, L) long, L the longest text's length, at most `context_length`; 0 pads.

    A longer text keeps its first context_length - 1 tokens and the end token. CLIP's text
    attention is causal and reads the feature at the end token, so trimming changes nothing.
    """
    tokens_BL: Tensor = _tokenizer()(list(texts), context_length=context_length)
    return trim(tokens_BL)


def used_tokens(tokens_NL: Tensor) -> Tensor:
    """The distinct tokens of some texts and all special ones, long, ascending."""
    special = torch.tensor([PAD_TOKEN, MASK_TOKEN, START_TOKEN, END_TOKEN])
    tokens_K: Tensor = torch.unique(torch.cat([tokens_NL.flatten(), special]))
    return tokens_K


def trim(tokens_BL: Tensor) -> Tensor:
    """Drop the columns in which every row is padding."""
    longest = int(tokens_BL.argmax(dim=1).max()) + 1
    return tokens_BL[:, :longest]


def mask_tokens(tokens_BL: Tensor, ratio: float, generator: torch.Generator) -> Tensor:
    """Replace each word token by the mask token with probability `ratio`, at least one a row.

    tokens_BL: long. Start, end and padding stay; a row without a word token stays as it is.
    """
    is_word_BL = (tokens_BL != START_TOKEN) & (tokens_BL != END_TOKEN) & (tokens_BL != PAD_TOKEN)
    draw_BL = torch.rand(tokens_BL.shape, generator=generator, device=generator.device)
    draw_BL = draw_BL.to(tokens_BL.device).masked_fill(~is_word_BL, 2.0)
    lowest_B1 = draw_BL.amin(dim=1, keepdim=True)
    masked_BL = is_word_BL & ((draw_BL < ratio) | (draw_BL == lowest_B1))
    return tokens_BL.masked_fill(masked_BL, MASK_TOKEN)


def hide_words(
    tokens_BL: Tensor, ratio: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hide some words for a model to name: (tokens with them hidden, what was hidden), (B, L) each.

    tokens_BL: long. Each word token is chosen with probability `ratio`, at least one a row; of the
    chosen, 80 % become the mask token, 10 % any other word and 10 % stay. The second tensor holds
    the chosen tokens and padding elsewhere. A row without a word token stays as it is.
    """
    chosen_BL = mask_tokens(tokens_BL, ratio, generator) != tokens_BL
    fate_BL = torch.rand(tokens_BL.shape, generator=generator)
    other_BL = torch.randint(1, MASK_TOKEN, tokens_BL.shape, generator=generator)
    hidden_BL = tokens_BL.masked_fill(chosen_BL & (fate_BL < 0.8), MASK_TOKEN)
    swapped_BL = chosen_BL & (fate_BL >= 0.8) & (fate_BL < 0.9)
    hidden_BL = torch.where(swapped_BL, other_BL, hidden_BL)
    return hidden_BL, tokens_BL.masked_fill(~chosen_BL, PAD_TOKEN)
