"""Colours as they are drawn (RGB, 0-255) and as people name them."""

RGB = tuple[int, int, int]

CLOTH: dict[str, RGB] = {
    "black": (30, 30, 34),
    "white": (240, 240, 238),
    "grey": (140, 142, 146),
    "navy": (28, 40, 96),
    "blue": (34, 94, 205),
    "light blue": (138, 192, 238),
    "red": (208, 34, 38),
    "burgundy": (108, 18, 48),
    "pink": (242, 146, 182),
    "orange": (242, 126, 24),
    "yellow": (246, 212, 48),
    "green": (44, 158, 70),
    "dark green": (20, 74, 46),
    "olive": (124, 122, 54),
    "beige": (218, 192, 148),
    "brown": (112, 68, 36),
    "purple": (122, 54, 164),
    "turquoise": (32, 182, 186),
}

# The first name is the commonest; all of them mean the same paint.
CLOTH_WORDS: dict[str, tuple[str, ...]] = {
    "black": ("black", "black", "jet-black"),
    "white": ("white", "white", "off-white"),
    "grey": ("grey", "gray"),
    "navy": ("navy", "dark blue", "navy blue"),
    "blue": ("blue", "bright blue", "royal blue"),
    "light blue": ("light blue", "pale blue", "sky-blue"),
    "red": ("red", "bright red", "scarlet"),
    "burgundy": ("burgundy", "dark red", "maroon", "wine-red"),
    "pink": ("pink", "light pink", "rose-pink"),
    "orange": ("orange", "bright orange"),
    "yellow": ("yellow", "bright yellow"),
    "green": ("green", "bright green"),
    "dark green": ("dark green", "forest green", "bottle-green"),
    "olive": ("olive", "khaki", "olive-green"),
    "beige": ("beige", "tan", "sand-coloured", "cream"),
    "brown": ("brown", "chocolate brown", "dark brown"),
    "purple": ("purple", "violet"),
    "turquoise": ("turquoise", "teal", "cyan"),
}

SKIN: dict[str, RGB] = {
    "light": (238, 200, 174),
    "tanned": (208, 158, 120),
    "brown": (150, 100, 68),
    "dark": (86, 56, 42),
}

SKIN_WORDS: dict[str, tuple[str, ...]] = {
    "light": ("pale skin", "light skin", "a fair complexion"),
    "tanned": ("tanned skin", "olive skin", "a tan"),
    "brown": ("brown skin", "light brown skin"),
    "dark": ("dark skin", "dark brown skin"),
}

HAIR: dict[str, RGB] = {
    "black": (28, 24, 26),
    "brown": (92, 58, 34),
    "blond": (222, 184, 104),
    "ginger": (186, 84, 34),
    "grey": (150, 150, 154),
    "white": (226, 226, 224),
}

HAIR_WORDS: dict[str, tuple[str, ...]] = {
    "black": ("black", "dark"),
    "brown": ("brown", "brunette", "chestnut"),
    "blond": ("blond", "blonde", "fair"),
    "ginger": ("ginger", "red", "auburn"),
    "grey": ("grey", "gray"),
    "white": ("white", "snow-white"),
}


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """Blend two colours; share 0 gives the first, 1 the other."""
    return (
        round(one[0] + (other[0] - one[0]) * share),
        round(one[1] + (other[1] - one[1]) * share),
        round(one[2] + (other[2] - one[2]) * share),
    )


def darker(colour: RGB, share: float) -> RGB:
    """The colour in shadow; share 1 is black."""
    return mix(colour, (12, 12, 16), share)


def lighter(colour: RGB, share: float) -> RGB:
    """The colour in bright light; share 1 is white."""
    return mix(colour, (255, 255, 255), share)
