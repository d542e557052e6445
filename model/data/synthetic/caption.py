"""Captions: what one witness says of one picture, 15 to 40 words."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from model.data.synthetic.outfit import Identity
from model.data.synthetic.phrases import Phrase, Witness, listed
from model.data.synthetic.view import Scene, View, visible_attributes

FEWEST_WORDS, MOST_WORDS = 15, 40

# How often a witness remembers what shows.
_MEMORY = {
    "outer": 0.97, "upper": 0.94, "lower": 0.95, "print": 0.7, "hat": 0.88, "scarf": 0.85,
    "bag": 0.88, "carried": 0.8, "hair": 0.78, "hair style": 0.85, "shoes": 0.75, "beard": 0.62,
    "glasses": 0.6, "build": 0.4, "skin": 0.16, "action": 0.3, "place": 0.16,
}  # fmt: skip


@dataclass(frozen=True)
class Account:
    """What a witness remembers, as phrases; a plan puts them in order."""

    witness: Witness
    subject: str
    clothes: list[Phrase]  # top, lower, shoes, as far as named
    looks: list[str]  # hair, beard, skin
    extras: list[str]  # hat, glasses, scarf
    load: list[str]  # "carrying a red handbag"
    setting: str  # "walking away in the park", or nothing

    @property
    def worn(self) -> list[str]:
        return [phrase.text for phrase in self.clothes]


def write_captions(
    who: Identity, view: View, scene: Scene, rng: Random, *, num_captions: int, city: str
) -> tuple[str, ...]:
    """Captions by so many witnesses, no two neighbours with the same plan."""
    visible = visible_attributes(who, view, scene)
    plans = rng.sample(_PLANS, len(_PLANS))
    return tuple(
        _testify(who, view, scene, visible, plans[number % len(plans)], rng, city)
        for number in range(num_captions)
    )


def _testify(
    who: Identity,
    view: View,
    scene: Scene,
    visible: frozenset[str],
    plan: Callable[[Account], str],
    rng: Random,
    city: str,
) -> str:
    """Say it again, with more or fewer details, until it has the right length."""
    effort = 0.0
    while True:
        witness = Witness(who, view, scene, rng, city)
        told = {
            name
            for name, chance in _MEMORY.items()
            if (name in visible or name in ("action", "place")) and rng.random() < chance + effort
        }
        # Nobody describes a person without a word on the clothes.
        told.add("outer" if "outer" in visible else "upper")
        text = plan(_recall(witness, told))
        num_words = len(text.split())
        if FEWEST_WORDS <= num_words <= MOST_WORDS:
            return text
        effort += 0.12 if num_words < FEWEST_WORDS else -0.06


def _recall(witness: Witness, told: set[str]) -> Account:
    who = witness.who
    clothes = [*_recall_top(witness, told)]
    if "lower" in told and who.lower:
        clothes.append(witness.cloth(who.lower, sleeves=False, print_shows=False))
    if "shoes" in told:
        clothes.append(witness.thing(who.shoes))
    looks, extras = [], []
    if "hair" in told:
        looks.append(witness.hair(style_shows="hair style" in told).text)
    if "beard" in told:
        looks.append(witness.beard().text)
    if "skin" in told:
        looks.append(witness.skin().text)
    if "hat" in told and who.hat:
        extras.append(witness.thing(who.hat).text)
    if "glasses" in told:
        extras.append(witness.glasses().text)
    if "scarf" in told and who.scarf:
        extras.append(witness.scarf(who.scarf).text)
    load = _recall_load(witness, told)
    setting = [witness.action()] if "action" in told else []
    setting += [witness.place()] if "place" in told else []
    build = witness.build() if "build" in told else ""
    subject = witness.subject([build] if build else [])
    return Account(witness, subject, clothes, looks, extras, load, " ".join(setting))


def _recall_load(witness: Witness, told: set[str]) -> list[str]:
    """What is carried; the second thing does without a verb that the first one had."""
    load = [witness.load(kind) for kind in ("bag", "carried") if kind in told]
    if len(load) == 2 and load[0].split()[0] == load[1].split()[0]:
        load[1] = load[1].split(" ", 1)[1]
    return load


def _recall_top(witness: Witness, told: set[str]) -> list[Phrase]:
    """The trunk's clothes as one phrase: "a navy coat over a white shirt"."""
    who = witness.who
    outer = witness.outer(who.outer) if "outer" in told and who.outer else None
    upper = None
    if "upper" in told:
        upper = witness.cloth(who.upper, sleeves=who.outer is None, print_shows="print" in told)
    if outer and upper:
        joint = witness.say(
            ("{} over {}", "{} over {}", "{} on top of {}", "{} with {} underneath")
        )
        return [Phrase(joint.format(outer.text, upper.text), outer.noun, outer.like)]
    return [phrase for phrase in (outer, upper) if phrase]


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _say(*sentences: str) -> str:
    return " ".join(filter(None, map(_sentence, sentences)))


def _if_any(before: str, items: list[str], after: str = "") -> str:
    return f"{before}{listed(items)}{after}" if items else ""


def _being(a: Account) -> str:
    """ "She is carrying a bag and holding a cup"."""
    return _if_any(f"{a.witness.she} {a.witness.is_now} ", a.load)


def _wearing_then_looks(a: Account) -> str:
    w = a.witness
    end = _if_any(f" and {w.is_now} ", a.load) if a.looks else ""
    return _say(
        f"{a.subject} {a.setting} wearing {listed(a.worn + a.extras)}",
        _if_any(f"{w.she} {w.has} ", a.looks, end) or _being(a),
    )


def _looks_then_dressed(a: Account) -> str:
    return _say(
        f"{a.subject}{_if_any(' with ', a.looks)}{_if_any(', dressed in ', a.worn)}"
        f"{_if_any(', ', a.load)}",
        _if_any(f"{a.witness.she} {a.witness.wears} ", a.extras),
        f"{a.witness.she} {a.witness.is_now} {a.setting}" if a.setting else "",
    )


def _in_clothes(a: Account) -> str:
    return _say(
        f"{a.subject} in {listed(a.worn)}{_if_any(', ', a.load)}",
        _if_any(f"{a.witness.she} {a.witness.has} ", a.looks + a.extras),
    )


def _the_person_is(a: Account) -> str:
    w = a.witness
    return _say(
        f"the {w.noun} {a.setting} is wearing {listed(a.worn)}{_if_any(' with ', a.extras)}",
        _if_any(f"{w.she} {w.has} ", a.looks),
        _being(a),
    )


def _i_saw(a: Account) -> str:
    w = a.witness
    had = _if_any(f"{w.she} had ", a.looks, " and wore ") or f"{w.she} wore "
    return _say(
        f"I saw {a.subject} {a.setting}",
        f"{had}{listed(a.worn + a.extras)}",
        _if_any(f"{w.she} {w.was} ", a.load),
    )


def _load_first(a: Account) -> str:
    looks, worn = _if_any(" with ", a.looks), listed(a.worn + a.extras)
    lead = listed(a.load) or a.setting
    if not lead:
        return _say(f"here is {a.subject}{looks}, wearing {worn}")
    return _say(f"{lead}, {a.subject}{looks} is wearing {worn}")


def _feet_first(a: Account) -> str:
    worn = a.worn[::-1]
    return _say(
        f"{listed(worn + a.extras)}: that is what {a.subject} {a.setting} has on",
        _if_any(f"{a.witness.she} {a.witness.has} ", a.looks),
        _being(a),
    )


def _looking_for(a: Account) -> str:
    lead = a.witness.say(("looking for", "look for", "please find", "searching for"))
    details = _if_any(", with ", a.looks + a.extras) + _if_any(", ", a.load)
    return _say(f"{lead} {a.subject} in {listed(a.worn)}{details}")


def _notes(a: Account) -> str:
    items = [a.subject.split(" ", 1)[1], *a.looks, *(p.bare for p in a.clothes), *a.extras, *a.load]
    items = [Phrase(item).bare for item in items]
    return _say(", ".join([*items, a.setting] if a.setting else items))


def _one_by_one(a: Account) -> str:
    w = a.witness
    parts = [
        f"{w.her} {p.noun} {'are' if p.is_plural else 'is'} {p.like}"
        for p in a.clothes
        if p.like and " over " not in p.text
    ]
    others = [p.text for p in a.clothes if not p.like or " over " in p.text]
    return _say(
        f"{a.subject} {a.setting}{_if_any(' with ', a.looks + a.extras)}{_if_any(' in ', others)}",
        listed(parts),
        _being(a),
    )


def _dressed_in(a: Account) -> str:
    w = a.witness
    what = a.setting or "in the picture"
    return _say(
        f"dressed in {listed(a.worn)}, {a.subject}{_if_any(' with ', a.looks)} is {what}",
        _if_any(f"{w.she} also {w.has} ", a.extras),
        _being(a),
    )


def _there_is(a: Account) -> str:
    return _say(
        f"there is {a.subject} {a.setting} who has on {listed(a.worn)}",
        _if_any("also noticeable: ", a.extras + a.looks),
        _being(a),
    )


def _load_in_the_middle(a: Account) -> str:
    return _say(
        f"{a.subject} {_if_any('', a.load, ',')} wearing {listed(a.extras + a.worn)}",
        _if_any(f"{a.witness.she} {a.witness.has} ", a.looks),
        f"{a.witness.she} {a.witness.is_now} {a.setting}" if a.setting else "",
    )


def _with_looks(a: Account) -> str:
    w = a.witness
    looks, extras = _if_any("with ", a.looks, ", "), _if_any(" as well as ", a.extras)
    return _say(
        f"{looks}the {w.noun} {a.setting} wears {listed(a.worn)}{extras}",
        _being(a),
    )


def _outfit_is(a: Account) -> str:
    w = a.witness
    return _say(
        f"{a.subject}{_if_any(' with ', a.looks)} {a.setting}",
        f"{w.her} outfit: {listed(a.worn + a.extras)}",
        _being(a),
    )


def _head_to_toe(a: Account) -> str:
    return _say(f"{a.subject}, from head to toe: {listed(a.extras + a.looks + a.worn)}", _being(a))


def _seen(a: Account) -> str:
    where = a.setting.removeprefix("seen ") or "on camera"
    details = _if_any(" with ", a.extras + a.looks) + _if_any(", ", a.load)
    return _say(f"seen {where}: {a.subject}{details}, clothed in {listed(a.worn)}")


_PLANS: tuple[Callable[[Account], str], ...] = (
    _wearing_then_looks, _looks_then_dressed, _in_clothes, _the_person_is, _i_saw, _load_first,
    _feet_first, _looking_for, _notes, _one_by_one, _dressed_in, _there_is, _load_in_the_middle,
    _with_looks, _outfit_is, _head_to_toe, _seen,
)  # fmt: skip
