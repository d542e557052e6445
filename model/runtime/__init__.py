"""The encoder as a service runs it, on whatever is fastest here.

base          what an engine is: both towers on one kind of machine
torch_cpu     both towers by torch
openvino_cpu  both towers by OpenVINO, written down in `graph`; in int8 by `quantise` and `ranges`
cuda          both towers on an NVIDIA GPU, as CUDA graphs of `plain_towers`
choice        which engine, and why
served        an engine behind plain arrays, in batches: what a service holds
"""

from model.runtime.choice import Wish
from model.runtime.served import Runtime, load_runtime

__all__ = ["Runtime", "Wish", "load_runtime"]
