"""CLIP's plain towers as OpenVINO graphs, written down operation by operation.

Traced through torch.export and ONNX, ViT-B/16 takes most of a minute and two more packages; written
down it takes a quarter of a second, and each number's precision is ours to choose. In bfloat16 what
is multiplied is bfloat16, while what blocks add to, and its normalisation, stays float32: that
keeps vectors nearer to float32's than all of it in bfloat16, at the same speed. The last block is
computed for the one token that is read.

Shapes: B batch, L tokens or patches and class token, W width, H heads, D embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from openvino import opset13 as op
from torch import Tensor, nn

from model.encoder import DualEncoder
from model.runtime.base import Multiplied
from model.runtime.layers import project_in
from model.runtime.quantise import Quantised

Node = Any
MASKED = -1e9
"""Added to the score of a token that is not to be seen; minus infinity is no bfloat16 everywhere"""


def build_text(encoder: DualEncoder, kind: Multiplied) -> openvino.Model:
    """int64 tokens (B, L), 0 after the end -> raw float32 features (B, D)."""
    clip, write = encoder.clip, Writer(kind)
    tokens_BL = op.parameter(openvino.PartialShape([-1, -1]), np.int64, name="tokens")
    length_1 = op.gather(op.shape_of(tokens_BL), ints(1), ints(0))
    position_LW = op.slice(numbers(clip.positional_embedding), ints(0), length_1, ints(1), ints(0))
    table_VW = numbers(clip.token_embedding.weight)
    hidden = op.add(op.gather(table_VW, tokens_BL, whole(0)), position_LW)
    length = op.squeeze(length_1, ints(0))
    position_1L = op.unsqueeze(op.range(whole(0), length, whole(1), "i64"), ints(0))
    position_L1 = op.transpose(position_1L, ints(1, 0))
    end_B1 = op.convert(op.topk(tokens_BL, whole(1), 1, "max", "none").output(1), "i64")
    mask_LL = _mask(op.less_equal(position_1L, position_L1))
    *blocks, last = clip.transformer.resblocks
    for number, block in enumerate(blocks):
        hidden = write.block(hidden, block, f"text.{number}", mask_LL)
    seen_B11L = op.unsqueeze(_mask(op.less_equal(position_1L, end_B1)), ints(1, 2))
    read_B1W = op.unsqueeze(op.gather_nd(hidden, end_B1, 1), ints(1))
    hidden = write.block(hidden, last, f"text.{len(blocks)}", seen_B11L, read_B1W)
    end_BW = write.norm(op.squeeze(hidden, ints(1)), clip.ln_final)
    features_BD = op.matmul(end_BW, numbers(clip.text_projection), False, False)
    return openvino.Model([features_BD], [tokens_BL], "text")


def build_image(
    encoder: DualEncoder, kind: Multiplied, quantised: Mapping[str, Quantised] | None = None
) -> openvino.Model:
    """uint8 RGB (B, height, width, 3) -> raw float32 features (B, D).

    quantised: layers to multiply in int8, by the names that `layers_of` gives them.
    """
    visual, write = encoder.clip.visual, Writer(kind, quantised or {})
    pixels = op.parameter(openvino.PartialShape([-1, *encoder.image_size, 3]), np.uint8, "pixels")
    hidden = _embed_patches(pixels, encoder)
    if isinstance(visual.ln_pre, nn.LayerNorm):  # an identity where the architecture has none
        hidden = write.norm(hidden, visual.ln_pre)
    *blocks, last = visual.transformer.resblocks
    for number, block in enumerate(blocks):
        hidden = write.block(hidden, block, f"image.{number}")
    class_B1W = op.slice(hidden, ints(0), ints(1), ints(1), ints(1))
    hidden = write.block(hidden, last, f"image.{len(blocks)}", None, class_B1W)
    class_BW = write.norm(op.squeeze(hidden, ints(1)), visual.ln_post)
    features_BD = op.matmul(class_BW, numbers(visual.proj), False, False)
    return openvino.Model([features_BD], [pixels], "image")


def _embed_patches(pixels: Node, encoder: DualEncoder) -> Node:
    """Patches and the class token, (B, L, W). Mean and deviation are in the weights; pixels less
    128 are whole numbers that bfloat16 holds exactly."""
    visual = encoder.clip.visual
    rows, columns = visual.grid_size
    height, width = (side // n for side, n in zip(encoder.image_size, (rows, columns), strict=True))
    cut = op.reshape(pixels, ints(0, rows, height, columns, width, 3), True)
    cut = op.transpose(cut, ints(0, 1, 3, 2, 4, 5))
    flat = op.reshape(cut, ints(0, rows * columns, height * width * 3), True)
    centred = op.subtract(op.convert(flat, "f32"), op.constant(np.float32(128)))
    mean_3, deviation_3 = (
        255 * values.detach().double().flatten().numpy()
        for values in (encoder.image_mean, encoder.image_std)
    )
    kernel_WHW3 = visual.conv1.weight.detach().double().permute(0, 2, 3, 1).numpy() / deviation_3
    offset_W = (kernel_WHW3 * (128 - mean_3)).sum(axis=(1, 2, 3))
    if visual.conv1.bias is not None:
        offset_W = offset_W + visual.conv1.bias.detach().numpy()
    kernel = op.constant(kernel_WHW3.reshape(len(kernel_WHW3), -1).astype(np.float32))
    position_LW = visual.positional_embedding.detach().numpy()
    patches = op.add(
        op.matmul(centred, kernel, False, True),
        op.constant((position_LW[1:] + offset_W).astype(np.float32)),
    )
    class_11W = (visual.class_embedding.detach().numpy() + position_LW[0])[None, None]
    batch_1 = op.gather(op.shape_of(pixels), ints(0), ints(0))
    shape = op.concat([batch_1, ints(1, len(kernel_WHW3))], 0)
    return op.concat([op.broadcast(op.constant(class_11W), shape), patches], 1)


@dataclass(frozen=True)
class Writer:
    """Writes a block's operations with what is multiplied in one precision."""

    kind: Multiplied
    quantised: Mapping[str, Quantised] = field(default_factory=dict)

    def block(
        self,
        hidden_BLW: Node,
        block: ResidualAttentionBlock,
        name: str,
        mask: Node | None = None,
        read_B1W: Node | None = None,
    ) -> Node:
        """A residual block. read_B1W: the only token that is wanted of it, as it comes in."""
        wanted = hidden_BLW if read_B1W is None else read_B1W
        mixed = self.attention(hidden_BLW, read_B1W, block, name, mask)
        wanted = op.add(wanted, mixed)
        mlp = block.mlp
        rows = self.norm(wanted, block.ln_2, f"{name}.mlp.in")
        inner = self.linear(rows, mlp.c_fc.weight, mlp.c_fc.bias, f"{name}.mlp.in")
        inner = self.activation(inner, mlp.gelu)
        outer = self.linear(inner, mlp.c_proj.weight, mlp.c_proj.bias, f"{name}.mlp.out", last=True)
        return op.add(wanted, outer)

    def attention(
        self,
        hidden_BLW: Node,
        read_B1W: Node | None,
        block: ResidualAttentionBlock,
        name: str,
        mask: Node | None,
    ) -> Node:
        weight_3WW, bias_3W = project_in(block)
        width, heads = block.attn.embed_dim, block.attn.num_heads
        rows = self.norm(hidden_BLW, block.ln_1, f"{name}.attn.in")
        if read_B1W is None:
            joint = self.linear(rows, weight_3WW, bias_3W, f"{name}.attn.in")
            query, key, value = self._split(joint, 3, heads, width // heads)
        else:
            one = self.norm(read_B1W, block.ln_1, f"{name}.attn.in")
            asked = self.linear(one, weight_3WW, bias_3W, f"{name}.attn.in", stop=width)
            joint = self.linear(rows, weight_3WW, bias_3W, f"{name}.attn.in", start=width)
            (query,) = self._split(asked, 1, heads, width // heads)
            key, value = self._split(joint, 2, heads, width // heads)
        score_BHLL = op.matmul(query, key, False, True)
        if mask is not None:
            score_BHLL = op.add(score_BHLL, op.convert_like(mask, score_BHLL))
        mixed = op.matmul(op.softmax(score_BHLL, -1), value, False, False)
        mixed = op.reshape(op.transpose(mixed, ints(0, 2, 1, 3)), ints(0, 0, width), True)
        out = block.attn.out_proj
        return self.linear(mixed, out.weight, out.bias, f"{name}.attn.out", last=True)

    def _split(self, joint: Node, parts: int, heads: int, size: int) -> list[Node]:
        """(B, L, parts x W) -> (B, H, L, size) of each part."""
        cut = op.reshape(joint, ints(0, 0, parts, heads, size), True)
        cut = op.transpose(cut, ints(2, 0, 3, 1, 4))
        return [op.squeeze(part, ints(0)) for part in op.split(cut, whole(0), parts).outputs()]

    def linear(
        self,
        rows: Node,
        weight_OI: Tensor,
        bias_O: Tensor,
        name: str,
        *,
        start: int = 0,
        stop: int | None = None,
        last: bool = False,
    ) -> Node:
        """rows @ weight.T + bias, of outputs start to stop. last: what comes out is added to the
        residual, float32."""
        quantised = self.quantised.get(name)
        bias = numbers(bias_O[start:stop])
        if quantised is not None:
            if name.endswith(".out"):  # the others follow a normalisation, which has done it
                rows = op.multiply(op.convert(rows, "f32"), op.constant(1 / quantised.smooth_I))
            product = op.add(_multiply_int8(rows, quantised.rows(start, stop)), bias)
            return product if last or self.kind == "float32" else op.convert(product, "bf16")
        weight = numbers(weight_OI[start:stop])
        if self.kind == "float32":
            return op.add(op.matmul(rows, weight, False, True), bias)
        product = op.matmul(op.convert(rows, "bf16"), op.convert(weight, "bf16"), False, True)
        product = op.add(product, op.convert(bias, "bf16"))
        return op.convert(product, "f32") if last else product

    def norm(self, rows: Node, norm: nn.LayerNorm, feeds: str = "") -> Node:
        """Layer normalisation, in float32; divided as the layer that it feeds wants it."""
        weight_W, bias_W = norm.weight.detach().numpy(), norm.bias.detach().numpy()
        if feeds in self.quantised:
            weight_W, bias_W = (v / self.quantised[feeds].smooth_I for v in (weight_W, bias_W))
        even = op.mvn(rows, ints(-1), True, norm.eps, "inside_sqrt")
        return op.add(op.multiply(even, op.constant(weight_W)), op.constant(bias_W))

    def activation(self, rows: Node, kind: nn.Module) -> Node:
        if isinstance(kind, QuickGELU):
            beta = op.constant(np.float32(1.702))
            return op.swish(rows, op.convert_like(beta, rows))
        return op.gelu(rows, "erf")


def _mask(seen: Node) -> Node:
    return op.select(seen, op.constant(np.float32(0)), op.constant(np.float32(MASKED)))


def _multiply_int8(rows: Node, layer: Quantised) -> Node:
    """rows @ weight.T with both in 8 bits; rows are divided by smooth_I already."""
    weight = op.multiply(
        op.convert(op.constant(layer.weight_OI), "f32"), op.constant(layer.scale_O1)
    )
    highest = np.float32(layer.highest)
    ends = (np.float32(-128 / 127) * highest, highest)
    low, high = (op.constant(end) for end in ends)
    rows = op.fake_quantize(rows, low, high, low, high, 256)
    return op.matmul(rows, weight, False, True)


def numbers(values: Tensor) -> Node:
    """A constant, float32."""
    array: NDArray[np.float32] = values.detach().float().cpu().contiguous().numpy()
    return op.constant(array)


def ints(*values: int) -> Node:
    """A row of whole numbers."""
    return op.constant(np.array(values, np.int64))


def whole(value: int) -> Node:
    """One whole number."""
    return op.constant(np.int64(value))
