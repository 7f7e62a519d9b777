// What a feed-forward does to every element by itself.
#pragma once
#include "min_max.cuh"

// silu(gate) * up. Source: Shazeer 2020 (arXiv:2002.05202).
__device__ inline float swiglu(float gate, float up) { return gate / (1.0f + __expf(-gate)) * up; }

// Source: the reference implementation of GPT-OSS (github.com/openai/gpt-oss), `swiglu`.
__device__ inline float clamped_swiglu(float gate, float up, float alpha, float limit) {
    const float g = min_or_nan(gate, limit), u = min_or_nan(max_or_nan(up, -limit), limit);
    return (u + 1.0f) * g / (1.0f + __expf(-alpha * g));
}

// The tanh approximation. Source: Hendrycks & Gimpel 2016 (arXiv:1606.08415).
__device__ inline float gelu(float x) {
    return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}
