"""The shapes of the published models that files are written in."""

from dataclasses import dataclass
from typing import Literal

Mix = Literal["Q4_K_M", "Q4_0", "MXFP4"]


@dataclass(frozen=True, slots=True)
class ModelShape:
    """One published file: hyper-parameters and quantization mix. Replace fields to make a smaller one."""

    name: str
    architecture: str
    mix: Mix
    num_layers: int
    hidden_size: int
    intermediate_size: int  # of one expert, where there are any
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    context_length: int
    rope_theta: float
    rms_norm_eps: float
    rope_scaling_factor: float | None = None  # of Llama 3's own scaling, or of YaRN
    window: int | None = None
    num_experts: int = 0
    is_tied: bool = False

    @property
    def file_name(self) -> str:
        return f"{self.name}.gguf"


QWEN_2_5_0_5B = ModelShape(
    name="qwen2.5-0.5b-q4_k_m",
    architecture="qwen2",
    mix="Q4_K_M",
    num_layers=24,
    hidden_size=896,
    intermediate_size=4864,
    num_heads=14,
    num_kv_heads=2,
    head_dim=64,
    vocab_size=151_936,
    context_length=32_768,
    rope_theta=1e6,
    rms_norm_eps=1e-6,
    is_tied=True,
)
LLAMA_3_2_1B = ModelShape(
    name="llama-3.2-1b-q4_0",
    architecture="llama",
    mix="Q4_0",
    num_layers=16,
    hidden_size=2048,
    intermediate_size=8192,
    num_heads=32,
    num_kv_heads=8,
    head_dim=64,
    vocab_size=128_256,
    context_length=131_072,
    rope_theta=500_000.0,
    rms_norm_eps=1e-5,
    rope_scaling_factor=32.0,
    is_tied=True,
)
PHI_3_MINI = ModelShape(
    name="phi-3-mini-4k-q4_k_m",
    architecture="phi3",
    mix="Q4_K_M",
    num_layers=32,
    hidden_size=3072,
    intermediate_size=8192,
    num_heads=32,
    num_kv_heads=32,
    head_dim=96,
    vocab_size=32_064,
    context_length=4096,
    rope_theta=10_000.0,
    rms_norm_eps=1e-5,
    window=2047,
)
LLAMA_3_1_8B = ModelShape(
    name="llama-3.1-8b-q4_k_m",
    architecture="llama",
    mix="Q4_K_M",
    num_layers=32,
    hidden_size=4096,
    intermediate_size=14_336,
    num_heads=32,
    num_kv_heads=8,
    head_dim=128,
    vocab_size=128_256,
    context_length=131_072,
    rope_theta=500_000.0,
    rms_norm_eps=1e-5,
    rope_scaling_factor=8.0,
)
GPT_OSS_20B = ModelShape(
    name="gpt-oss-20b-mxfp4",
    architecture="gpt-oss",
    mix="MXFP4",
    num_layers=24,
    hidden_size=2880,
    intermediate_size=2880,
    num_heads=64,
    num_kv_heads=8,
    head_dim=64,
    vocab_size=201_088,
    context_length=131_072,
    rope_theta=150_000.0,
    rms_norm_eps=1e-5,
    rope_scaling_factor=32.0,
    window=128,
    num_experts=32,
)

MODELS = {shape.name: shape for shape in (QWEN_2_5_0_5B, LLAMA_3_2_1B, PHI_3_MINI, LLAMA_3_1_8B, GPT_OSS_20B)}
"""By name, in order of size."""
