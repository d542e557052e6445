"""Colour encoders: one that knows what its scores are worth, and a model of another kind."""

from __future__ import annotations

from types import SimpleNamespace

from tests.conftest import ColourEncoder

PALE = ("white", "ivory", "snow", "azure", "beige", "cornsilk", "linen", "honeydew", "mintcream")


class CalibratedColours(ColourEncoder):
    """People who are nowhere wear something pale."""

    calibration = SimpleNamespace(
        words=(6,),
        mean=(0.95,),
        deviation=(0.03,),
        reference=(tuple(f"a person in a {colour} coat" for colour in PALE),),
    )


class CoarseColours(ColourEncoder):
    """Another model: fewer cells, so vectors of another size. As a model's name it is
    COARSE."""

    fingerprint = "colour-coarse"
    image_size = (16, 8)
    _grid = (2, 2)
    dim = 2 * 2 * 3 + 1


GRID = "python:tests.conftest:ColourEncoder"
COARSE = "python:tests.colours:CoarseColours"
