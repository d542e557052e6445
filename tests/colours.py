"""The colour encoder, which also knows what its scores are worth."""

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
