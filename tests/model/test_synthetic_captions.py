"""What witnesses say: right grammar, right length, and nothing that they can't have seen."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from model.data.synthetic.caption import write_captions
from model.data.synthetic.colours import CLOTH, CLOTH_WORDS, HAIR, HAIR_WORDS, SKIN, SKIN_WORDS
from model.data.synthetic.outfit import CITIES, IN_FRONT, Identity, sample_identity
from model.data.synthetic.phrases import listed, with_article
from model.data.synthetic.view import (
    CAMERAS,
    Occluder,
    Scene,
    View,
    sample_scene,
    sample_view,
    visible_attributes,
)
from model.data.synthetic.vocabulary import NOUNS


def witnessed(
    num_people: int, *, facing: str | None = None, occluder: Occluder | None = None
) -> Iterator[tuple[Identity, View, Scene, tuple[str, ...]]]:
    """People with a view each and two captions, from all cities in turn."""
    for number in range(num_people):
        rng = Random(f"witnessed {number}")
        city = CITIES[number % 3]
        who = sample_identity(number, city, rng)
        camera = rng.choice(CAMERAS[city])
        view = sample_view(camera, rng)
        view = replace(view, facing=facing or view.facing)
        scene = sample_scene(camera, view, rng)
        scene = replace(scene, occluder=occluder) if occluder else scene
        yield who, view, scene, write_captions(who, view, scene, rng, num_captions=2, city=city)


def mentions(caption: str, kinds: tuple[str, ...]) -> bool:
    nouns = [noun.replace("{} ", r"[\w -]*") for kind in kinds for noun in NOUNS[kind]]
    return re.search(rf"\b({'|'.join(nouns)})\b", caption) is not None


def test_captions_have_15_to_40_words_and_good_grammar() -> None:
    wrong = re.compile(
        r"\b[Aa] [aeio]|\b[Aa]n [^aeiou]|  | [,.:]|\.\.|,,|[{}]|None"
        r"|\b([Ss]he|[Hh]e) (have|are|wear|were)\b|\b[Tt]hey (has|is|wears|was)\b"
        r"|\b(jeans|trousers|shoes|boots|shorts) is\b|\b(coat|jacket|shirt|dress|skirt) are\b"
        r"|\b(an?|the) (a|an|the|[\w-]+ (?:jeans|trousers|boots|shorts|sandals))\b|\b(\w+) \3\b"
    )
    for _, _, _, captions in witnessed(600):
        for caption in captions:
            assert 15 <= len(caption.split()) <= 40, caption
            assert caption[0].isupper() and caption.endswith("."), caption
            assert not wrong.search(caption), caption


def test_captions_of_a_picture_differ_and_are_seldom_repeated() -> None:
    openings: Counter[str] = Counter()
    texts = set()
    for _, _, _, (one, other) in witnessed(400):
        assert one != other
        texts |= {one, other}
        openings.update([one.split()[0], other.split()[0]])
    assert len(texts) == 800
    assert openings.most_common(1)[0][1] < 400


def test_captions_from_behind_name_nothing_of_the_front() -> None:
    named = 0
    for who, _, _, captions in witnessed(500, facing="back"):
        for caption in captions:
            assert not mentions(caption, ("glasses", "sunglasses", "beard", "moustache")), caption
            assert not re.search("on the (front|chest)", caption), caption
            assert not mentions(caption, IN_FRONT), caption
            under = who.upper.kind not in ("dress", "hoodie") and who.outer is not None
            assert not (under and re.search(r"\bover an?\b|underneath|on top of", caption)), caption
            named += who.glasses != "none"
    assert named > 200


def test_captions_from_the_front_do_name_what_shows() -> None:
    shown: Counter[str] = Counter()
    for who, _, _, captions in witnessed(400, facing="front"):
        for caption in captions:
            shown["glasses"] += mentions(caption, ("glasses", "sunglasses"))
            shown["print"] += bool(re.search("on the (front|chest)", caption))
            shown["top"] += any(
                word in caption
                for garment in (who.outer or who.upper,)
                for word in CLOTH_WORDS[garment.colour]
            )
    assert shown["glasses"] > 80
    assert shown["print"] > 8
    assert shown["top"] == 800


def test_captions_behind_a_car_do_not_name_shoes() -> None:
    kinds = ("trainers", "boots", "sandals", "high heels", "leather shoes")
    car = Occluder("car", 0, 0.85)
    for _, _, _, captions in witnessed(200, occluder=car):
        for caption in captions:
            assert not mentions(caption, kinds), caption


@pytest.mark.parametrize("facing", ["left", "right"])
def test_visible_attributes_far_side_of_a_bag_is_hidden(facing: str) -> None:
    seen = Counter(
        (who.bag.side == facing, "bag" in visible_attributes(who, view, scene))
        for who, view, scene, _ in witnessed(300, facing=facing)
        if who.bag and who.bag.side and scene.occluder is None
    )
    assert set(seen) == {(True, True), (False, False)}


def test_captions_name_enough_to_find_somebody() -> None:
    """Two colours in every caption, nearly always more: a caption of sex alone finds nobody."""
    paints = {word for words in CLOTH_WORDS.values() for word in words}
    pattern = re.compile(rf"\b({'|'.join(sorted(paints, key=len, reverse=True))})\b")
    counts = [len(pattern.findall(c)) for *_, captions in witnessed(300) for c in captions]
    assert sum(count >= 3 for count in counts) > 0.75 * len(counts)
    assert min(counts) >= 1


def test_vocabulary_names_every_colour_once() -> None:
    for paints, words in ((CLOTH, CLOTH_WORDS), (HAIR, HAIR_WORDS), (SKIN, SKIN_WORDS)):
        assert paints.keys() == words.keys()
    names = [word for words in CLOTH_WORDS.values() for word in set(words)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("orange coat", "an orange coat"),
        ("red hat", "a red hat"),
        ("off-white tee", "an off-white tee"),
    ],
)
def test_with_article_fits_the_sound(words: str, expected: str) -> None:
    assert with_article(words) == expected


def test_listed_joins_as_in_speech() -> None:
    assert [listed(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
