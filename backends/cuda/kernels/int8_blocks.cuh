// Activations as int8 blocks: what quantized weights are multiplied with in decode.
//
// 32 consecutive elements share a scale: x[i] ~ scale * q[i], scale = max|x| / 127, q in [-127, 127].
// With them goes sum = scale * (q[0] + ... + q[31]), so that a constant added to all weights of a block costs
// one multiplication. Source: llama.cpp, ggml-common.h, `block_q8_1`. Whatever is multiplied with a
// block that has a NaN or an infinity in it is NaN.
//
// Many blocks lie in planes (40 bytes a block), so that the 16-byte accesses of neighbouring threads to
// neighbouring blocks meet no bank conflicts:
//
//   low        [num_blocks] int4    elements 0..15
//   high       [num_blocks] int4    elements 16..31
//   scale_sum  [num_blocks] float2
#pragma once
#include "min_max.cuh"

struct Int8Block {
    int4 low;   // elements 0..15; element 4k+b is byte b of word k
    int4 high;  // elements 16..31, likewise
    float scale;
    float sum;
};

struct Int8Blocks {
    int4* low;
    int4* high;
    float2* scale_sum;
};

// The planes of `num_blocks` blocks in 40 * num_blocks bytes of shared or global memory, aligned to 16.
__device__ __forceinline__ Int8Blocks int8_blocks(void* memory, int num_blocks) {
    int4* low = (int4*)memory;
    return {low, low + num_blocks, (float2*)(low + 2 * num_blocks)};
}

__device__ __forceinline__ Int8Block load_int8_block(const Int8Blocks& blocks, int block) {
    const float2 scale_sum = blocks.scale_sum[block];
    return {blocks.low[block], blocks.high[block], scale_sum.x, scale_sum.y};
}

__device__ __forceinline__ unsigned int pack_int8x4(int a, int b, int c, int d) {
    return (a & 0xff) | (b & 0xff) << 8 | (c & 0xff) << 16 | d << 24;
}

// Quantizes block `block` by four neighbouring threads: thread `quarter` = lane % 4 brings elements
// 8*quarter .. 8*quarter+7. Every lane of `mask` must call it, each quartet complete.
__device__ __forceinline__ void quantize_int8_block(
    const Int8Blocks& blocks, int block, int quarter, const float values[8], unsigned int mask = 0xffffffffu) {
    float largest = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; i++) largest = max_or_nan(largest, fabsf(values[i]));
    largest = max_or_nan(largest, __shfl_xor_sync(mask, largest, 1));
    largest = max_or_nan(largest, __shfl_xor_sync(mask, largest, 2));

    const float scale = largest * (1.0f / 127.0f);
    const float inverse = largest > 1e-30f ? 127.0f / largest : 0.0f;  // less counts as zero: 127/x would overflow
    int q[8];
    int sum = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        q[i] = __float2int_rn(values[i] * inverse);
        sum += q[i];
    }
    sum += __shfl_xor_sync(mask, sum, 1);
    sum += __shfl_xor_sync(mask, sum, 2);

    int4* plane = quarter < 2 ? blocks.low : blocks.high;
    ((uint2*)(plane + block))[quarter & 1] =
        make_uint2(pack_int8x4(q[0], q[1], q[2], q[3]), pack_int8x4(q[4], q[5], q[6], q[7]));
    if (quarter == 0) blocks.scale_sum[block] = make_float2(scale, scale * (float)sum);
}
