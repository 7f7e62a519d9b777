// Packed weights times int8 activations: an integer dot product, scaled once per sub-block.
//
// Decode is bound by the number of instructions, not by bandwidth alone, hence the care below. What depends
// on the activations only is written so that the compiler shares it between rows.
#pragma once

#include "int8_blocks.cuh"
#include "packed_layout.cuh"
#include "packed_values.cuh"

// sum + the dot product of four unsigned and four signed bytes. Source: PTX ISA, `dp4a`.
__device__ __forceinline__ int dp4a_unsigned(unsigned int a, int b, int sum) {
    int result;
    asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

// Stored nibbles with activations. The high ones stay where they are, times 16: no shift for each word.
__device__ __forceinline__ int dot_nibbles(const unsigned int quants[4], const int low[4], const int high[4]) {
    int sum = 0;
    int sum_16 = 0;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        sum = dp4a_unsigned(quants[k] & 0x0f0f0f0fu, low[k], sum);
        sum_16 = dp4a_unsigned(quants[k] & 0xf0f0f0f0u, high[k], sum_16);
    }
    return sum + (sum_16 >> 4);
}

// FP4 codes, doubled values. The codes of a half word belong to elements 4k, 4k+16, 4k+1, 4k+17 (then 4k+2, ..),
// so the activations are brought into that order: once for all rows. `zero` is one that the compiler takes for a
// variable: it keeps the table in a register then, instead of copying the constant there 16 times a row.
__device__ __forceinline__ int dot_fp4(
    const unsigned int quants[4], const int low[4], const int high[4], unsigned int zero) {
    uint2 table = fp4_magnitudes();
    table.x |= zero;
    int positive = 0;
    int negative = 0;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const unsigned int turned = quants[k] ^ 0x88888888u;
        const int first = __byte_perm(low[k], high[k], 0x5140);
        const int second = __byte_perm(low[k], high[k], 0x7362);
        positive = __dp4a((int)pick_bytes(table, quants[k]), first, positive);
        negative = __dp4a((int)pick_bytes(table, turned), first, negative);
        positive = __dp4a((int)pick_bytes(table, quants[k] >> 16), second, positive);
        negative = __dp4a((int)pick_bytes(table, turned >> 16), second, negative);
    }
    return positive - negative;
}

// Minus 32 times the sum of 16 activations: Q6_K's zero point, the same for every row.
__device__ __forceinline__ int minus_32_times_sum(const int x[4]) {
    int sum = 0;
#pragma unroll
    for (int k = 0; k < 4; k++) sum = __dp4a((int)0xe0e0e0e0u, x[k], sum);
    return sum;
}

// The dot product of a sub-block and the activations it meets.
template <Type T>
__device__ __forceinline__ float dot(const Packed<T>& p, const Int8Block& x) {
    const unsigned int quants[4] = {p.quants.x, p.quants.y, p.quants.z, p.quants.w};
    const int low[4] = {x.low.x, x.low.y, x.low.z, x.low.w};
    const int high[4] = {x.high.x, x.high.y, x.high.z, x.high.w};
    if constexpr (T == Q6_K) {
        unsigned int words[8];
        unpack<T>(p, words);
        int sums[2] = {minus_32_times_sum(low), minus_32_times_sum(high)};
#pragma unroll
        for (int k = 0; k < 4; k++) {
            sums[0] = __dp4a((int)words[k], low[k], sums[0]);
            sums[1] = __dp4a((int)words[k + 4], high[k], sums[1]);
        }
        const int scaled = (signed char)p.scales * sums[0] + (signed char)(p.scales >> 8) * sums[1];
        return f16_to_float(p.super_scale) * (x.scale * (float)scaled);  // |scaled| < 2^24: exact
    }
    int sum = 0;
    if constexpr (T == MXFP4) {
        sum = dot_fp4(quants, low, high, __float_as_uint(x.scale) >> 31);  // a scale has no sign
    } else if constexpr (T == Q4_0 || T == Q4_1 || T == Q4_K) {
        sum = dot_nibbles(quants, low, high);
    } else {
        unsigned int words[8];
        unpack<T>(p, words);
#pragma unroll
        for (int k = 0; k < 4; k++) {
            sum = __dp4a((int)words[k], low[k], sum);
            sum = __dp4a((int)words[k + 4], high[k], sum);
        }
    }
    const Affine a = affine<T>(p);
    const float scaled = x.scale * (float)sum;
    if constexpr (has_bias(T)) return fmaf(a.bias, x.sum, a.scale[0] * scaled);
    if constexpr (zero_point(T) != 0) return a.scale[0] * fmaf(-(float)zero_point(T), x.sum, scaled);
    return a.scale[0] * scaled;
}

template <Type T>
__device__ __forceinline__ float dot_block(const Matrix& w, long long row, int block, const Int8Block& x) {
    return dot<T>(load_packed<T>(w, row, block), x);
}
