"""The model in PyTorch: Llama's architecture at the size of a postage stamp.

Letters: B = batch, T = tokens of this pass, K = tokens in the cache, H = query heads, D = head size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.haiku.fake_quant import FakeQuant, no_quant


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Every row length (hidden_size, intermediate_size) is a multiple of 256, as K-quants need."""

    vocab_size: int = 4096
    hidden_size: int = 256
    intermediate_size: int = 1024
    num_layers: int = 8
    num_heads: int = 8
    num_kv_heads: int = 4
    max_model_len: int = 512
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads


class Cache:
    """Keys and values of every layer, [layers, B, kv heads, K, D]."""

    def __init__(self, config: ModelConfig, batch: int, length: int, device: torch.device) -> None:
        shape = (config.num_layers, batch, config.num_kv_heads, length, config.head_dim)
        self.keys = torch.zeros(shape, device=device)
        self.values = torch.zeros(shape, device=device)

    def write(self, layer: int, positions: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put keys and values [B, kv heads, T, D] at positions [B, T]; return all of the layer's."""
        index = positions[:, None, :, None].expand_as(keys)
        self.keys[layer].scatter_(2, index, keys.float())
        self.values[layer].scatter_(2, index, values.float())
        return self.keys[layer], self.values[layer]


class Linear(nn.Module):
    """A matrix without bias whose weight may be seen through fake quantization."""

    def __init__(self, in_features: int, out_features: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) * std)
        self.quant: FakeQuant = no_quant

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.quant(self.weight))


class RmsNorm(nn.Module):
    """y = x / rms(x) * weight. Source: Zhang & Sennrich 2019, eq. 4 (arXiv:1910.07467)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rope_angles(config: ModelConfig, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine [B, 1, T, D/2]. Source: Su et al. 2021, eq. 34 (arXiv:2104.09864)."""
    steps = torch.arange(0, config.head_dim, 2, device=positions.device).float() / config.head_dim
    angles = positions[:, None, :, None].float() * config.rope_theta**-steps
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the adjacent pairs (2i, 2i+1), the convention of GGUF's `llama`. x: [B, H, T, D]."""
    even, odd = x[..., 0::2].float(), x[..., 1::2].float()
    turned: Tensor = torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)
    return turned.type_as(x)


class Layer(nn.Module):
    """x += O(attention(norm x)); x += down(silu(gate h) * up h), h = norm x."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        hidden, wide, std = config.hidden_size, config.intermediate_size, 0.02
        kv_size, out_std = config.num_kv_heads * config.head_dim, std / (2 * config.num_layers) ** 0.5
        self.config, self.index = config, index
        self.attn_norm = RmsNorm(hidden, config.rms_norm_eps)
        self.attn_q = Linear(hidden, hidden, std)
        self.attn_k = Linear(hidden, kv_size, std)
        self.attn_v = Linear(hidden, kv_size, std)
        self.attn_output = Linear(hidden, hidden, out_std)
        self.ffn_norm = RmsNorm(hidden, config.rms_norm_eps)
        self.ffn_gate = Linear(hidden, wide, std)
        self.ffn_up = Linear(hidden, wide, std)
        self.ffn_down = Linear(wide, hidden, out_std)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor, cache: Cache | None) -> Tensor:
        x = x + self.attention(self.attn_norm(x), cos, sin, positions, cache)
        h = self.ffn_norm(x)
        wide = functional.silu(self.ffn_gate(h)) * self.ffn_up(h)
        output: Tensor = x + self.ffn_down(wide)
        return output

    def attention(
        self, h: Tensor, cos: Tensor, sin: Tensor, positions: Tensor, cache: Cache | None
    ) -> Tensor:
        head_dim = self.config.head_dim
        query = rotate(self.attn_q(h).unflatten(-1, (-1, head_dim)).transpose(1, 2), cos, sin)
        key = rotate(self.attn_k(h).unflatten(-1, (-1, head_dim)).transpose(1, 2), cos, sin)
        value = self.attn_v(h).unflatten(-1, (-1, head_dim)).transpose(1, 2)
        mask = None
        if cache is not None:
            key, value = cache.write(self.index, positions, key, value)
            mask = torch.arange(key.shape[2], device=h.device) <= positions[:, None, :, None]
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, enable_gqa=True
        )
        output: Tensor = self.attn_output(mixed.transpose(1, 2).flatten(2))
        return output


class HaikuModel(nn.Module):
    """Token ids to logits; the head is the embedding."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embd = nn.Parameter(torch.randn(config.vocab_size, config.hidden_size) * 0.02)
        self.embedding_quant: FakeQuant = no_quant
        self.blk = nn.ModuleList([Layer(config, i) for i in range(config.num_layers)])
        self.output_norm = RmsNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, ids: Tensor, positions: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """ids, positions: [B, T]; positions default to 0, 1, ... Returns logits [B, T, vocab]."""
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device)[None]
        table = self.embedding_quant(self.token_embd)
        x = functional.embedding(ids, table)
        cos, sin = rope_angles(self.config, positions)
        for layer in self.blk:
            x = layer(x, cos, sin, positions, cache)
        return functional.linear(self.output_norm(x), table)
