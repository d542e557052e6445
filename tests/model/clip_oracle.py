"""CLIP from its definition, on a plain state dict, and files in the layouts that systems publish.

Nothing here comes from open_clip or from model/: attention is written out, texts are padded.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = dict[str, Tensor]
WIDTH = 128  # of both towers: two heads of 64
PATCH = 16
VOCABULARY = 49408


def random_clip(grid: tuple[int, int] = (6, 2), *, layers: int = 2, seed: int = 0) -> State:
    """A small CLIP's weights by OpenAI's names, the text tower one layer less deep."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, scale: float = 0.08) -> Tensor:
        return torch.randn(shape, generator=generator) * scale

    state = {
        "visual.class_embedding": draw(WIDTH),
        "visual.positional_embedding": draw(math.prod(grid) + 1, WIDTH, scale=0.5),
        "visual.proj": draw(WIDTH, 32),
        "visual.conv1.weight": draw(WIDTH, 3, PATCH, PATCH),
        "positional_embedding": draw(77, WIDTH, scale=0.5),
        "text_projection": draw(WIDTH, 32),
        "logit_scale": torch.tensor(4.6),
        "token_embedding.weight": draw(VOCABULARY, WIDTH, scale=0.5),
    }
    for norm in ("visual.ln_pre", "visual.ln_post", "ln_final"):
        state |= {f"{norm}.weight": 1 + draw(WIDTH), f"{norm}.bias": draw(WIDTH)}
    for tower, depth in (("visual.transformer", layers), ("transformer", layers - 1)):
        for block in (f"{tower}.resblocks.{number}" for number in range(depth)):
            state |= {
                f"{block}.attn.in_proj_weight": draw(3 * WIDTH, WIDTH),
                f"{block}.attn.in_proj_bias": draw(3 * WIDTH),
                f"{block}.attn.out_proj.weight": draw(WIDTH, WIDTH),
                f"{block}.attn.out_proj.bias": draw(WIDTH),
                f"{block}.mlp.c_fc.weight": draw(4 * WIDTH, WIDTH),
                f"{block}.mlp.c_fc.bias": draw(4 * WIDTH),
                f"{block}.mlp.c_proj.weight": draw(WIDTH, 4 * WIDTH),
                f"{block}.mlp.c_proj.bias": draw(WIDTH),
            }
            for norm in ("ln_1", "ln_2"):
                state |= {
                    f"{block}.{norm}.weight": 1 + draw(WIDTH),
                    f"{block}.{norm}.bias": draw(WIDTH),
                }
    return state


def image_features(state: State, pixels_B3HW: Tensor, *, quick_gelu: bool = True) -> Tensor:
    """Normalised float pixels -> the projected class token, raw."""
    patches = F.conv2d(pixels_B3HW, state["visual.conv1.weight"], stride=PATCH)
    patches = patches.flatten(2).transpose(1, 2)
    tokens = torch.cat([state["visual.class_embedding"].expand(len(patches), 1, -1), patches], 1)
    hidden = _norm(state, "visual.ln_pre", tokens + state["visual.positional_embedding"])
    hidden = _transformer(state, "visual.transformer", hidden, quick_gelu=quick_gelu, causal=False)
    return _norm(state, "visual.ln_post", hidden)[:, 0] @ state["visual.proj"]


def text_features(state: State, tokens_B77: Tensor, *, quick_gelu: bool = True) -> Tensor:
    """All 77 tokens, 0 where there are none -> the projected end token, raw."""
    assert tokens_B77.shape[1] == 77
    hidden = state["token_embedding.weight"][tokens_B77] + state["positional_embedding"]
    hidden = _transformer(state, "transformer", hidden, quick_gelu=quick_gelu, causal=True)
    hidden = _norm(state, "ln_final", hidden)
    ends = [row.tolist().index(49407) for row in tokens_B77]
    return (
        torch.stack([hidden[row, end] for row, end in enumerate(ends)]) @ state["text_projection"]
    )


def _transformer(
    state: State, tower: str, hidden: Tensor, *, quick_gelu: bool, causal: bool
) -> Tensor:
    number = 0
    while (block := f"{tower}.resblocks.{number}") + ".ln_1.weight" in state:
        hidden = hidden + _attention(state, block, _norm(state, f"{block}.ln_1", hidden), causal)
        inner = _linear(state, f"{block}.mlp.c_fc", _norm(state, f"{block}.ln_2", hidden))
        inner = inner / (1 + torch.exp(-1.702 * inner)) if quick_gelu else F.gelu(inner)
        hidden = hidden + _linear(state, f"{block}.mlp.c_proj", inner)
        number += 1
    return hidden


def _attention(state: State, block: str, hidden: Tensor, causal: bool) -> Tensor:
    weights, biases = state[f"{block}.attn.in_proj_weight"], state[f"{block}.attn.in_proj_bias"]
    parts = zip(weights.chunk(3), biases.chunk(3), strict=True)
    query, key, value = (hidden @ weight.T + bias for weight, bias in parts)
    heads = []
    for start in range(0, WIDTH, 64):
        part = slice(start, start + 64)
        scores = query[..., part] @ key[..., part].transpose(1, 2) / 8
        if causal:
            ahead = torch.ones(scores.shape[1:]).triu(1).bool()
            scores = scores.masked_fill(ahead, -math.inf)
        heads.append(scores.softmax(-1) @ value[..., part])
    return _linear(state, f"{block}.attn.out_proj", torch.cat(heads, -1))


def _linear(state: State, name: str, values: Tensor) -> Tensor:
    return values @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def _norm(state: State, name: str, values: Tensor) -> Tensor:
    centred = values - values.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def as_half(state: State) -> State:
    """Linear weights and projections in float16, as OpenAI's program converts them."""
    halved = ("attn.", "mlp.", "conv1", "proj")
    return {
        name: tensor.half() if any(part in name for part in halved) else tensor
        for name, tensor in state.items()
    }


def as_floats(state: State) -> State:
    """What the stored numbers are, for the oracle."""
    return {name: tensor.float() for name, tensor in state.items()}


def irra_layout(state: State, prefix: str = "") -> State:
    """CLIP under `base_model.`, without a logit scale, and the heads of IRRA beside it."""
    heads = {
        "classifier.weight": torch.zeros(5, 32),
        "classifier.bias": torch.zeros(5),
        "cross_attn.in_proj_weight": torch.zeros(96, 32),
        "cross_modal_transformer.resblocks.0.ln_1.weight": torch.zeros(32),
        "ln_pre_t.weight": torch.zeros(32),
        "ln_pre_i.weight": torch.zeros(32),
        "ln_post.weight": torch.zeros(32),
        "mlm_head.dense.weight": torch.zeros(32, 32),
    }
    clip = {f"base_model.{name}": tensor for name, tensor in state.items() if name != "logit_scale"}
    return {prefix + name: tensor for name, tensor in {**clip, **heads}.items()}


def save_jit_archive(state: State, path: Path) -> None:
    """A traced module with these parameters, and the numbers and masks of OpenAI's archives."""
    root = nn.Module()
    for name, tensor in state.items():
        *folders, leaf = name.split(".")
        node = root
        for folder in folders:
            if folder not in node._modules:
                node.add_module(folder, nn.Module())
            node = node._modules[folder]
        node.register_parameter(leaf, nn.Parameter(tensor, requires_grad=False))
    for name, number in (("input_resolution", 96), ("context_length", 77), ("vocab_size", 49408)):
        root.register_buffer(name, torch.tensor(number))
    for block in root.transformer.resblocks.children():
        block.register_buffer("attn_mask", torch.full((77, 77), -math.inf).triu(1))
    root.forward = lambda values: values + root.logit_scale
    torch.jit.save(torch.jit.trace(root, torch.zeros(1)), path)
