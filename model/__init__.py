"""Learns and runs the dual encoder that compares pictures of people with descriptions."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.encoder import DualEncoder
    from model.zoo import load_encoder

__all__ = ["DualEncoder", "load_encoder"]


def __getattr__(name: str) -> object:
    """Import on first use: torch takes seconds, and drawing people needs none of it."""
    if name == "load_encoder":
        from model.zoo import load_encoder

        return load_encoder
    if name == "DualEncoder":
        from model.encoder import DualEncoder

        return DualEncoder
    raise AttributeError(f"module 'model' has no attribute {name!r}")
