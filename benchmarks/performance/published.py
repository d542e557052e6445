"""The encoder that is measured where size matters."""

from model.config import Architecture

VIT_B16 = Architecture(
    embed_dim=512,
    image_size=(384, 128),
    vision={"layers": 12, "width": 768, "patch_size": 16},
    text={"layers": 12, "width": 512, "heads": 8},
)
"""The published size at a standing person's shape; weights are random, which costs the same."""
