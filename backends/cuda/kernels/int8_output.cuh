// Int8 blocks as a kernel's output, so that the next one need not quantize.
#pragma once
#include "int8_blocks.cuh"
#include "reduce.cuh"

// A warp writes block `block`: lane e brings element e. All lanes call it.
__device__ inline void store_int8_block(const Int8Blocks& blocks, int block, float value) {
    const int lane = threadIdx.x % 32;
    const float largest = warp_max(fabsf(value));
    const float inverse = largest > 1e-30f ? 127.0f / largest : 0.0f;  // as in quantize_int8_block
    const int q = __float2int_rn(value * inverse);
    const float scale = largest * (1.0f / 127.0f), sum = warp_sum(static_cast<float>(q));  // exact: below 2^24
    signed char* plane = reinterpret_cast<signed char*>(lane < 16 ? blocks.low + block : blocks.high + block);
    plane[lane % 16] = static_cast<signed char>(q);
    if (lane == 0) blocks.scale_sum[block] = make_float2(scale, scale * sum);
}
