"""What llama.cpp reached with random-weight files of these shapes and mixes on the same kind of card.

Source: the project's own measurement of 2026-11-21 (research note "llama.cpp on one NVIDIA H200"): llama.cpp
0c1e57098 (ggml 0.25.3), CUDA 13.0, sm_90, release; CUDA graphs, flash attention and programmatic dependent
launch on, cuBLAS 13.1; one H200, driver 580.159.04, clocks untouched. Medians; of several settings the best.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Peer:
    """Its figures for one model; what was not measured is missing."""

    # llama-bench -fa 1, 128 tokens from an empty context with GGML_CUDA_GRAPH_OPT=1; 64 tokens at depth 2048
    decode_tokens_per_s: Mapping[int, float] = field(default_factory=dict)  # by context
    # llama-bench -fa 1; 2048 with -ub 2048, held against prompts of 4096
    prefill_tokens_per_s: Mapping[int, float] = field(default_factory=dict)  # by length of the prompt
    load_s: float | None = None  # llama-completion's own `load time`, file in the page cache
    # llama-server -ngl 99 -fa on -np 32 -c 32768 --cache-ram 0, one client, 16 tokens in, 128 out
    ready_s: float | None = None  # from its start to the first 200 of /health
    first_token_ms: float | None = None
    http_tokens_per_s: float | None = None  # with -bs where that is faster


PEERS: Mapping[str, Peer] = {
    "qwen2.5-0.5b-q4_k_m": Peer(
        decode_tokens_per_s={128: 1061, 2048: 868},
        prefill_tokens_per_s={16: 4730, 512: 54_200, 4096: 67_400},
        load_s=0.27,
        ready_s=0.86,
        first_token_ms=5.8,
        http_tokens_per_s=741,
    ),
    "llama-3.2-1b-q4_0": Peer(
        decode_tokens_per_s={128: 1076, 2048: 948},
        prefill_tokens_per_s={16: 7190, 512: 50_500, 4096: 48_000},
        load_s=0.27,
        ready_s=0.80,
        first_token_ms=4.3,
        http_tokens_per_s=768,
    ),
    "phi-3-mini-4k-q4_k_m": Peer(
        decode_tokens_per_s={128: 341, 2048: 261},
        prefill_tokens_per_s={16: 3790, 512: 16_200, 4096: 15_270},
        load_s=0.32,
        ready_s=0.62,
        first_token_ms=6.4,
        http_tokens_per_s=316,
    ),
    "gpt-oss-20b-mxfp4": Peer(
        decode_tokens_per_s={128: 349, 2048: 317},
        prefill_tokens_per_s={16: 1300, 512: 10_230, 4096: 13_570},
        load_s=1.47,
        ready_s=2.15,
        first_token_ms=20.1,
        http_tokens_per_s=296,
    ),
}
"""By name of the file. The 8B model was not measured."""
