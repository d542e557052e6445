from hypothesis import given, settings
from hypothesis import strategies as st

from model.tokens import encode
from model.words import find_words


def test_words_are_found_without_their_punctuation() -> None:
    text = "  A woman, in a “T-shirt”\n(size 38)  & no hat."
    words = find_words(text)
    assert [word.text for word in words] == [
        *("A", "woman", "in", "a", "T-shirt", "size", "38", "no", "hat"),
    ]
    assert all(text[word.start : word.end] == word.text for word in words)
    by_name = {word.text: word.tokens for word in words}
    assert by_name["woman"] == (2,)
    assert len(by_name["T-shirt"]) == 3
    assert by_name["hat"] == (len(encode(text)) - 1,)  # a full stop follows


def test_tokens_of_a_word_are_those_that_the_model_reads_for_it() -> None:
    text = "somebody's bag: chequered turquoise."
    read = [0, *encode(text)]
    for word in find_words(text):
        assert [read[position] for position in word.tokens] == encode(word.text)


def test_words_behind_the_cut_have_no_tokens() -> None:
    words = find_words("one two three four", context_length=5)
    assert [word.tokens for word in words] == [(1,), (2,), (3,), ()]


def test_text_without_words_has_none() -> None:
    assert find_words("") == find_words(" ... & ") == ()


def test_text_damaged_across_a_space_is_one_word() -> None:
    text = "a coat â€ œ red"  # mojibake that is repaired only as a whole
    (whole,) = find_words(text)
    assert (whole.text, whole.start, whole.end) == (text, 0, len(text))
    assert whole.tokens == tuple(range(1, 1 + len(encode(text))))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_no_token_is_claimed_twice_or_beyond_the_text(text: str) -> None:
    words = find_words(text)
    claimed = [position for word in words for position in word.tokens]
    assert claimed == sorted(set(claimed))
    assert not claimed or (claimed[0] >= 1 and claimed[-1] <= len(encode(text)))
    assert all(text[word.start : word.end] == word.text for word in words)
