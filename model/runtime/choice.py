"""Which engine runs an encoder."""

from model.encoder import DualEncoder
from model.runtime.base import Engine
from model.runtime.cuda import CudaEngine
from model.runtime.plain_towers import can_simplify
from model.runtime.torch_cpu import TorchEngine


def choose_engine(encoder: DualEncoder) -> Engine:
    """The fastest engine for this encoder on the device that it is on."""
    if encoder.device.type == "cuda" and can_simplify(encoder):
        return CudaEngine(encoder)
    return TorchEngine(encoder)
