"""What witnesses call things. Keys are the kinds of `outfit` and `view`."""

NOUNS: dict[str, tuple[str, ...]] = {
    "t-shirt": ("t-shirt", "T-shirt", "tee", "top"),
    "shirt": ("shirt", "button-up shirt", "button-down shirt"),
    "polo shirt": ("polo shirt", "polo", "collared shirt"),
    "blouse": ("blouse", "blouse", "top", "shirt"),
    "sweater": ("sweater", "jumper", "pullover", "knitted sweater"),
    "hoodie": ("hoodie", "hooded sweatshirt", "hooded top", "sweatshirt with a hood"),
    "tank top": ("tank top", "vest top", "singlet"),
    "dress": ("dress", "dress", "frock", "gown"),
    "jeans": ("jeans", "denim jeans", "denim trousers"),
    "trousers": ("trousers", "pants", "slacks", "chinos"),
    "joggers": ("joggers", "tracksuit bottoms", "sweatpants", "track pants"),
    "leggings": ("leggings", "tight leggings", "tights"),
    "shorts": ("shorts", "short trousers", "bermuda shorts"),
    "skirt": ("skirt",),
    "jacket": ("jacket", "jacket", "zip-up jacket", "windbreaker"),
    "coat": ("coat", "long coat", "overcoat", "knee-length coat"),
    "raincoat": ("raincoat", "rain jacket", "anorak", "mackintosh"),
    "puffer jacket": ("puffer jacket", "down jacket", "padded jacket", "quilted jacket"),
    "blazer": ("blazer", "suit jacket", "sports jacket"),
    "cardigan": ("cardigan", "knitted cardigan"),
    "leather jacket": ("leather jacket", "biker jacket"),
    "denim jacket": ("denim jacket", "jean jacket"),
    "hi-vis vest": ("hi-vis vest", "high-visibility vest", "reflective vest", "safety vest"),
    "trainers": ("trainers", "sneakers", "sports shoes", "running shoes"),
    "boots": ("boots", "ankle boots", "leather boots"),
    "leather shoes": ("leather shoes", "shoes", "dress shoes"),
    "sandals": ("sandals", "open sandals"),
    "high heels": ("high heels", "high-heeled shoes", "heels"),
    "cap": ("cap", "baseball cap", "peaked cap"),
    "beanie": ("beanie", "woolly hat", "knit hat", "bobble hat"),
    "brimmed hat": ("wide-brimmed hat", "sun hat", "hat"),
    "helmet": ("helmet", "cycle helmet", "bike helmet"),
    "headscarf": ("headscarf", "hijab"),
    "scarf": ("scarf", "knitted scarf"),
    "glasses": ("glasses", "spectacles", "eyeglasses"),
    "sunglasses": ("sunglasses", "dark glasses", "shades"),
    "backpack": ("backpack", "rucksack", "knapsack"),
    "handbag": ("handbag", "purse", "hand bag"),
    "shoulder bag": ("shoulder bag", "bag"),
    "messenger bag": ("messenger bag", "crossbody bag", "satchel"),
    "tote": ("tote bag", "tote", "canvas bag", "cloth bag"),
    "phone": ("phone", "mobile phone", "cell phone", "smartphone"),
    "tablet": ("tablet", "tablet computer"),
    "coffee cup": ("cup of coffee", "coffee cup", "takeaway coffee", "paper cup"),
    "folder": ("folder", "binder", "file"),
    "book": ("book", "notebook"),
    "flowers": ("bunch of {} flowers", "bouquet of {} flowers"),
    "umbrella": ("umbrella", "closed umbrella", "rolled-up umbrella"),
    "suitcase": ("suitcase", "wheeled suitcase", "trolley case", "rolling suitcase"),
    "shopping bag": ("shopping bag", "carrier bag", "plastic bag"),
    "water bottle": ("water bottle", "bottle", "flask"),
    "briefcase": ("briefcase", "attaché case", "document case"),
    "beard": ("a beard", "a full beard", "facial hair"),
    "moustache": ("a moustache", "a mustache"),
}

PLURAL = frozenset(
    ("jeans", "trousers", "joggers", "leggings", "shorts", "glasses", "sunglasses")
) | {"trainers", "boots", "leather shoes", "sandals", "high heels"}

PEOPLE: dict[tuple[str, str], tuple[str, ...]] = {
    ("female", "child"): ("girl", "little girl", "young girl", "child"),
    ("male", "child"): ("boy", "little boy", "young boy", "child"),
    ("female", "young"): ("young woman", "young lady", "young female", "girl", "woman"),
    ("male", "young"): ("young man", "young guy", "young male", "man", "guy"),
    ("female", "adult"): ("woman", "woman", "lady", "middle-aged woman", "female"),
    ("male", "adult"): ("man", "man", "guy", "middle-aged man", "male"),
    ("female", "old"): ("elderly woman", "old lady", "older woman", "old woman"),
    ("male", "old"): ("elderly man", "old man", "older man", "elderly gentleman"),
}

BUILDS: dict[str, tuple[str, ...]] = {
    "slim": ("slim", "thin", "slender", "skinny"),
    "average": (),
    "heavy": ("heavy-set", "stocky", "large", "overweight", "heavily built"),
}

HAIR_LENGTHS: dict[str, tuple[str, ...]] = {
    "short": ("short", "short", "short-cut"),
    "medium": ("shoulder-length", "medium-length", "chin-length"),
    "long": ("long", "long", "waist-length"),
}

PATTERNS: dict[str, tuple[str, ...]] = {
    "stripes": ("striped", "stripy"),
    "check": ("checked", "chequered", "plaid", "checkered"),
    "dots": ("polka-dot", "spotted", "dotted"),
}

REACHES: dict[str, tuple[str, ...]] = {
    "short": ("short", "mini"),
    "knee": ("knee-length",),
    "long": ("long", "ankle-length"),
}

SLEEVES: dict[str, tuple[str, ...]] = {
    "none": ("sleeveless",),
    "short": ("short-sleeved", "short-sleeve"),
    "long": ("long-sleeved", "long-sleeve"),
}

ACTIONS: dict[str, tuple[str, ...]] = {
    "front": (
        "walking towards the camera",
        "facing the camera",
        "coming toward us",
        "seen from the front",
    ),
    "back": ("walking away", "seen from behind", "walking away from the camera", "facing away"),
    "left": ("walking to the left", "seen from the side", "in profile", "heading left"),
    "right": ("walking to the right", "seen from the side", "in profile", "heading right"),
}

PLACES: dict[str, tuple[str, ...]] = {
    "brick wall": ("in front of a brick wall", "beside a brick wall"),
    "plain wall": ("in front of a plain wall", "along a wall"),
    "street": ("in the street", "on the pavement", "on the sidewalk"),
    "quay": ("on the quay", "by the water", "at the harbour"),
    "stairs": ("on the stairs", "on the steps", "in front of a staircase"),
    "shop front": ("outside a shop", "in front of a shop window", "outside a store"),
    "stalls": ("at the market", "between the market stalls"),
    "grass": ("in the park", "on a path across the grass"),
    "corridor": ("in a corridor", "in a hallway"),
    "glass front": ("in front of a glass building", "beside large windows"),
}

OBSTACLES: dict[str, tuple[str, ...]] = {
    "pole": ("partly behind a pole", "next to a lamp post"),
    "railing": ("behind a railing", "behind a fence"),
    "car": ("behind a parked car", "behind a car"),
    "passer-by": ("next to another person", "beside a passer-by"),
}

# Words that a city's witnesses seldom use.
RARE: dict[str, frozenset[str]] = {
    "harbour": frozenset(
        [
            "gray",
            "pants",
            "slacks",
            "sneakers",
            "sweatpants",
            "purse",
            "mustache",
            "plaid",
            "checkered",
            "blonde",
            "tan",
            "store",
        ]
    ),
    "market": frozenset(
        [
            "jumper",
            "rucksack",
            "anorak",
            "mackintosh",
            "khaki",
            "frock",
            "singlet",
            "teal",
            "slacks",
        ]
    ),
    "campus": frozenset(
        [
            "grey",
            "trousers",
            "trainers",
            "jumper",
            "rucksack",
            "moustache",
            "chequered",
            "checked",
            "pullover",
            "spectacles",
        ]
    ),
}
