"""Turn the facts that a picture shows into a witness's phrases, grammar included."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from model.data.synthetic import vocabulary as vocab
from model.data.synthetic.colours import CLOTH_WORDS, HAIR_WORDS, SKIN_WORDS
from model.data.synthetic.outfit import Garment, Identity, Thing
from model.data.synthetic.view import Scene, View


@dataclass(frozen=True)
class Phrase:
    """One thing: "a red coat"; its noun, "coat"; what it is like, "red"; are or is."""

    text: str
    noun: str = ""
    like: str = ""
    is_plural: bool = False

    @property
    def bare(self) -> str:
        """Without article, as in notes."""
        for article in ("a pair of ", "a ", "an "):
            if self.text.startswith(article):
                return self.text.removeprefix(article)
        return self.text


def with_article(words: str) -> str:
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def listed(items: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


class Witness:
    """Words for one caption: a vocabulary of one city, chosen once for each sort of thing."""

    def __init__(self, who: Identity, view: View, scene: Scene, rng: Random, city: str):
        self.who, self.view, self.scene, self.rng, self.city = who, view, scene, rng, city
        nobody = rng.random() < (0.12 if view.facing == "back" else 0.05)
        self.noun = "person" if nobody else self.say(vocab.PEOPLE[who.body.sex, who.body.age])
        if nobody:
            self.she, self.her = "they", "their"
        else:
            self.she, self.her = ("she", "her") if who.body.sex == "female" else ("he", "his")
        self.has, self.is_now, self.was = (
            ("have", "are", "were") if nobody else ("has", "is", "was")
        )
        self.wears = "wear" if nobody else "wears"

    def say(self, words: Sequence[str]) -> str:
        """One of several words for the same; rare ones of this city seldom."""
        rare = vocab.RARE[self.city]
        weights = [0.25 if rare & set(word.split()) else 1.0 for word in words]
        return self.rng.choices(words, weights)[0]

    def subject(self, adjectives: Sequence[str] = ()) -> str:
        return with_article(" ".join([*adjectives, self.noun]))

    def build(self) -> str:
        words = vocab.BUILDS[self.who.body.build]
        return self.say(words) if words else ""

    def skin(self) -> Phrase:
        return Phrase(self.say(SKIN_WORDS[self.who.body.skin]))

    def cloth(self, garment: Garment, *, sleeves: bool, print_shows: bool) -> Phrase:
        """A garment with its colours, cut and pattern."""
        noun = self._garment_noun(garment)
        like, tail = self._colours(garment), ""
        if (
            garment.pattern == "print"
            and garment.accent
            and print_shows
            and self.rng.random() < 0.7
        ):
            mark = self.say(("print", "logo", "picture", "graphic"))
            place = self.say(("on the front", "on the chest"))
            shade = self.say(CLOTH_WORDS[garment.accent])
            tail = f" with {with_article(f'{shade} {mark}')} {place}"
        before = []
        if garment.reach and garment.kind in ("skirt", "dress") and self.rng.random() < 0.75:
            before.append(self.say(vocab.REACHES[garment.reach]))
        elif (
            garment.kind in ("shirt", "dress", "blouse", "sweater")
            and sleeves
            and self.rng.random() < 0.5
        ):
            before.append(self.say(vocab.SLEEVES[garment.sleeves]))
        if (
            self.rng.random() < 0.3
            and not tail
            and noun.split()[0] not in ("long", "tight", "open")
        ):
            text = " ".join([like, *before, noun])
        else:
            text = " ".join([*before, like, noun])
        plural = garment.kind in vocab.PLURAL
        return Phrase((text if plural else with_article(text)) + tail, noun, like, plural)

    def outer(self, garment: Garment) -> Phrase:
        plain = self.cloth(garment, sleeves=False, print_shows=False)
        if garment.is_open and self.view.facing == "front" and self.rng.random() < 0.35:
            how = self.say(("open", "open", "unbuttoned"))
            return Phrase(with_article(f"{how} {plain.bare}"), plain.noun, plain.like)
        return plain

    def _garment_noun(self, garment: Garment) -> str:
        vague = garment.kind in ("shirt", "polo shirt", "blouse", "t-shirt")
        if vague and self.view.facing == "back" and self.rng.random() < 0.35:
            return "top"
        return self.say(vocab.NOUNS[garment.kind])

    def _colours(self, garment: Garment) -> str:
        colour = self.say(CLOTH_WORDS[garment.colour])
        if garment.pattern not in vocab.PATTERNS or garment.accent is None:
            return colour
        woven = self.say(vocab.PATTERNS[garment.pattern])
        accent = self.say(CLOTH_WORDS[garment.accent])
        chance = self.rng.random()
        if chance < 0.6:
            return f"{colour} and {accent} {woven}"
        return f"{woven} {colour} and {accent}" if chance < 0.75 else f"{colour} {woven}"

    def thing(self, thing: Thing) -> Phrase:
        """Shoes, a hat, a bag or a carried thing, with its colour."""
        noun, plural = self.say(vocab.NOUNS[thing.kind]), thing.kind in vocab.PLURAL
        colour = self.say(CLOTH_WORDS[thing.colour])
        if "{}" in noun:
            return Phrase(with_article(noun.format(colour)), noun.split()[0], colour)
        if thing.kind in ("phone", "tablet", "coffee cup"):
            return Phrase(with_article(noun), noun, colour)
        text = f"{colour} {noun}"
        if plural and self.rng.random() < 0.12:
            return Phrase(f"a pair of {text}", noun, colour, is_plural=True)
        return Phrase(text if plural else with_article(text), noun, colour, plural)

    def scarf(self, colour: str) -> Phrase:
        return self.thing(Thing("scarf", colour))

    def hair(self, *, style_shows: bool) -> Phrase:
        hair, chance = self.who.hair, self.rng.random()
        if hair.length == "bald":
            return Phrase(self.say(("a bald head", "a shaved head", "no hair")))
        colour = self.say(HAIR_WORDS[hair.colour])
        tied = hair.style in ("ponytail", "bun", "plait")
        if tied and not style_shows:
            return Phrase(f"{colour} hair tied back" if chance < 0.5 else f"{colour} hair")
        if tied:
            name = self.say(("plait", "braid")) if hair.style == "plait" else hair.style
            if chance < 0.6:
                return Phrase(f"{colour} hair in {with_article(name)}")
            return Phrase(with_article(f"{colour} {name}"))
        length = self.say(vocab.HAIR_LENGTHS[hair.length])
        curl = (
            self.say(("curly", "frizzy", "wavy")) if hair.style == "curly" and chance < 0.75 else ""
        )
        return Phrase(" ".join(word for word in (length, curl, colour, "hair") if word))

    def beard(self) -> Phrase:
        return Phrase(self.say(vocab.NOUNS[self.who.hair.beard]))

    def glasses(self) -> Phrase:
        noun = self.say(vocab.NOUNS[self.who.glasses])
        return Phrase(noun if self.rng.random() < 0.85 else f"a pair of {noun}")

    def load(self, kind: str) -> str:
        """ "carrying a red handbag in her left hand", for "bag" or "carried"."""
        thing = self.who.bag if kind == "bag" else self.who.carried
        assert thing
        named = self.thing(thing)
        verb, where = self._how_carried(thing)
        return f"{verb} {named.text}{where if self.rng.random() < 0.6 else ''}"

    def _how_carried(self, thing: Thing) -> tuple[str, str]:
        her, side = self.her, f"{thing.side} " if self.rng.random() < 0.5 else ""
        match thing.kind:
            case "backpack":
                return self.say(("carrying", "wearing")), f" on {her} back"
            case "shoulder bag" | "tote":
                where = self.say(("over", "on"))
                return "carrying", f" {where} {her} {side}shoulder"
            case "messenger bag":
                verb = self.say(("carrying", "wearing"))
                return verb, self.say((" across the body", f" at {her} {side}hip"))
            case "suitcase":
                verb = self.say(("pulling", "wheeling"))
                return verb, f" with {her} {side}hand" if self.rng.random() < 0.3 else ""
            case _:
                return self.say(("carrying", "holding")), f" in {her} {side}hand"

    def action(self) -> str:
        return self.say(vocab.ACTIONS[self.view.facing])

    def place(self) -> str:
        if self.scene.occluder and self.rng.random() < 0.4:
            return self.say(vocab.OBSTACLES[self.scene.occluder.kind])
        return self.say(vocab.PLACES[self.scene.camera.place])
