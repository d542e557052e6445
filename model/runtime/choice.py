"""Which engine runs an encoder."""

from model.encoder import DualEncoder
from model.runtime.base import Engine
from model.runtime.torch_cpu import TorchEngine


def choose_engine(encoder: DualEncoder) -> Engine:
    """The fastest engine for this encoder on the device that it is on."""
    return TorchEngine(encoder)
