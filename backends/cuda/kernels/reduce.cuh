// Sums and maxima over a warp and over a block, in an order that never changes.
#pragma once
#include "min_max.cuh"

constexpr unsigned ALL_LANES = 0xffffffffu;

// Every lane gets the sum over the `WIDTH` neighbouring lanes it belongs to; WIDTH is a power of two.
template <int WIDTH = 32>
__device__ inline float warp_sum(float value) {
#pragma unroll
    for (int offset = WIDTH / 2; offset > 0; offset /= 2)
        value += __shfl_xor_sync(ALL_LANES, value, offset);
    return value;
}

template <int WIDTH = 32>
__device__ inline float warp_max(float value) {
#pragma unroll
    for (int offset = WIDTH / 2; offset > 0; offset /= 2)
        value = max_or_nan(value, __shfl_xor_sync(ALL_LANES, value, offset));
    return value;
}

// Every thread gets the sum over the block. `partial` holds one float a warp; the block is synchronised twice.
template <int WARPS>
__device__ inline float block_sum(float value, float* partial) {
    value = warp_sum(value);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    float total = 0.0f;
#pragma unroll
    for (int warp = 0; warp < WARPS; ++warp) total += partial[warp];
    __syncthreads();
    return total;
}
