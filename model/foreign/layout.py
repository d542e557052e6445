"""Where a published checkpoint keeps its CLIP, and what else lies beside it.

Names are matched whole or by a full prefix, never by how they end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

TRAINING_STATE = ("optimizer", "scheduler", "scaler", "epoch", "num_epoch", "iteration", "name")
"""What programs save beside the weights."""
HEADS = {
    "classifier": "identity classifier of training",
    "cross_attn": "masked-language head of training",
    "cross_modal_transformer": "masked-language head of training",
    "ln_pre_t": "masked-language head of training",
    "ln_pre_i": "masked-language head of training",
    "ln_post": "masked-language head of training",
    "mlm_head": "masked-language head of training",
    "img_memory": "memory bank of training",
    "txt_memory": "memory bank of training",
}
"""First part of a name beside `base_model.` in IRRA, DGCMIA and MLLM4Text-ReID."""
SIZES = ("input_resolution", "context_length", "vocab_size")
"""Numbers in OpenAI's own files."""


@dataclass(frozen=True)
class Layout:
    """One checkpoint taken apart; every name in it is in exactly one of three places."""

    system: str
    """Whose layout it is: irra, dgcmia, openai or open_clip."""
    clip: Mapping[str, Tensor]
    """CLIP's weights by OpenAI's names."""
    prefix: str
    """What stood before those names."""
    dropped: Mapping[str, str] = field(default_factory=dict)
    """Name as in the file -> why it is not needed."""
    unexplained: tuple[str, ...] = ()
    """Names of a kind that this program does not know."""

    @property
    def quick_gelu(self) -> bool | None:
        """The activation, where the system settles it; weights alone don't tell."""
        return None if self.system == "open_clip" else True


def read_layout(content: Mapping[str, object]) -> Layout:
    """Take apart what a weight file holds. Raises ValueError where there is no state dict."""
    state, beside, unexplained = _unwrap(content)
    module = "module." if all(name.startswith("module.") for name in state) else ""
    base = f"{module}base_model."
    if any(name.startswith(base) for name in state):
        return _read_base_model(state, module, beside, unexplained)
    clip = {name.removeprefix(module): tensor for name, tensor in state.items()}
    sizes = {module + name: "a number that the shapes tell too" for name in SIZES if name in clip}
    for name in SIZES:
        clip.pop(name, None)
    system = "openai" if len(sizes) == len(SIZES) else "open_clip"
    return Layout(system, clip, module, {**beside, **sizes}, tuple(unexplained))


def _unwrap(
    content: Mapping[str, object],
) -> tuple[dict[str, Tensor], dict[str, str], list[str]]:
    """The state dict; what lies beside it and why it is dropped; what nobody knows."""
    beside: dict[str, str] = {}
    unexplained: list[str] = []
    inner: object = content
    for key in ("model", "state_dict"):
        if isinstance(content.get(key), Mapping):
            inner = content[key]
            for name in content.keys() - {key}:
                if name in TRAINING_STATE:
                    beside[name] = "state of training"
                else:
                    unexplained.append(name)
            break
    assert isinstance(inner, Mapping)
    state = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
    unexplained += [str(name) for name in inner if str(name) not in state]
    if not state:
        raise ValueError("it holds no tensors by name")
    return state, beside, unexplained


def _read_base_model(
    state: Mapping[str, Tensor], module: str, beside: dict[str, str], unexplained: list[str]
) -> Layout:
    """The layout of IRRA, and of what was built on it."""
    base = f"{module}base_model."
    clip: dict[str, Tensor] = {}
    heads: dict[str, str] = {}
    for name, tensor in state.items():
        head = name.removeprefix(module).split(".")[0]
        if name.startswith(base):
            clip[name.removeprefix(base)] = tensor
        elif head in HEADS:
            heads[name] = HEADS[head]
        else:
            unexplained.append(name)
    has_bank = any(name.removeprefix(module) in ("img_memory", "txt_memory") for name in heads)
    system = "dgcmia" if has_bank else "irra"
    return Layout(system, clip, base, {**beside, **heads}, tuple(unexplained))
