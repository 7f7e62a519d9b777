// Packed weights as float: the values that the gguf package computes, bit for bit.
//
// That takes its order of operations and a rounding after each, so nothing here may contract to a fused
// multiply-add or flush subnormal numbers (never compile with -ftz=true). Source: gguf, quants.py.
#pragma once

#include "half.cuh"
#include "packed_layout.cuh"

// value = scale * (quant - zero_point) + bias; a scale for each half of the sub-block.
struct Affine {
    float scale[2];
    float bias;
};

// 2^(exponent - 128): half of what E8M0 means, as the table of FP4 values below is doubled.
__device__ __forceinline__ float e8m0_half_to_float(unsigned int exponent) {
    return __uint_as_float(exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23);
}

// Twelve bits of a super-block: 6-bit scale and, above it, 6-bit minimum of sub-block `index`.
__device__ __forceinline__ unsigned int super_block_bits(const uint4& super, int index) {
    const unsigned int low = index < 3 ? super.y : index < 6 ? super.z : super.w;
    const unsigned int high = index < 3 ? super.z : super.w;
    return __funnelshift_r(low, high, 12 * index);  // modulo 32
}

template <Type T>
__device__ __forceinline__ Affine affine(const Packed<T>& p) {
    Affine a;
    if constexpr (has_super_block(T)) {
        const unsigned int bits = super_block_bits(p.super, p.index);
        const float2 d = f16x2_to_floats(p.super.x);
        a.scale[0] = __fmul_rn(d.x, (float)(bits & 63));
        a.bias = -__fmul_rn(d.y, (float)(bits >> 6 & 63));
    } else if constexpr (T == Q6_K) {
        const float d = f16_to_float(p.super_scale);
        a.scale[0] = __fmul_rn(d, (float)(signed char)p.scales);
        a.scale[1] = __fmul_rn(d, (float)(signed char)(p.scales >> 8));
        return a;
    } else if constexpr (T == Q4_1 || T == Q5_1) {
        const float2 d_m = f16x2_to_floats(p.scales);
        a.scale[0] = d_m.x;
        a.bias = d_m.y;
    } else if constexpr (T == MXFP4) {
        a.scale[0] = e8m0_half_to_float(p.scales);
    } else {
        a.scale[0] = f16_to_float((unsigned short)p.scales);
    }
    a.scale[1] = a.scale[0];
    return a;
}

// Four bytes, each picked by a nibble of the selector's low half: bits 0..2 say which of `table`'s eight; bit
// 3 fills the byte with the picked one's sign, which is zero in our table. Source: PTX ISA, `prmt`.
__device__ __forceinline__ unsigned int pick_bytes(uint2 table, unsigned int selector) {
    unsigned int bytes;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(bytes) : "r"(table.x), "r"(table.y), "r"(selector));
    return bytes;
}

// The values of FP4 (E2M1), doubled: 0, 1, 2, 3, 4, 6, 8, 12. So `pick_bytes` of four codes gives the value of
// the positive ones and zero for the others; with the codes' signs turned, minus the value of the negative.
__device__ __forceinline__ uint2 fp4_magnitudes() { return make_uint2(0x03020100u, 0x0c080604u); }

// 32 quants as bytes: element 4*k + b is byte b of words[k]; int8 for Q8_0 and MXFP4, unsigned for the rest.
template <Type T>
__device__ __forceinline__ void unpack(const Packed<T>& p, unsigned int words[8]) {
    const unsigned int quants[4] = {p.quants.x, p.quants.y, p.quants.z, p.quants.w};
    if constexpr (T == Q8_0) {
        const unsigned int upper[4] = {p.upper.x, p.upper.y, p.upper.z, p.upper.w};
#pragma unroll
        for (int k = 0; k < 4; k++) {
            words[k] = quants[k];
            words[k + 4] = upper[k];
        }
    } else if constexpr (T == MXFP4) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            unsigned int mixed[2];  // elements 4k, 4k+16, 4k+1, 4k+17 and 4k+2, 4k+18, 4k+3, 4k+19
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const unsigned int codes = quants[k] >> (16 * half);
                const unsigned int positive = pick_bytes(fp4_magnitudes(), codes);
                const unsigned int negative = pick_bytes(fp4_magnitudes(), codes ^ 0x8888u);
                // The set sign bits keep the bytes from borrowing of each other.
                mixed[half] = ((positive | 0x80808080u) - negative) ^ 0x80808080u;
            }
            words[k] = __byte_perm(mixed[0], mixed[1], 0x6420);
            words[k + 4] = __byte_perm(mixed[0], mixed[1], 0x7531);
        }
    } else {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            words[k] = quants[k] & 0x0f0f0f0fu;
            words[k + 4] = quants[k] >> 4 & 0x0f0f0f0fu;
            if constexpr (has_fifth_bit(T)) {
                words[k] |= p.high.x << (4 - k) & 0x10101010u;
                words[k + 4] |= p.high.x >> k & 0x10101010u;
            } else if constexpr (T == Q6_K) {
                // A word's shift by 4 - 2k, to the right where that is negative.
                words[k] |= (k < 2 ? p.high.x << (4 - 2 * k) : p.high.x >> (2 * k - 4)) & 0x30303030u;
                words[k + 4] |= (k < 2 ? p.high.y << (4 - 2 * k) : p.high.y >> (2 * k - 4)) & 0x30303030u;
            }
        }
    }
}

template <Type T>
__device__ __forceinline__ void dequantize_packed(const Packed<T>& p, float out[32]) {
    unsigned int words[8];
    unpack<T>(p, words);
    const Affine a = affine<T>(p);
#pragma unroll
    for (int i = 0; i < 32; i++) {
        const int quant = (signed char)(words[i / 4] >> (8 * (i % 4)));
        out[i] = __fmul_rn(a.scale[i / 16], (float)(quant - zero_point(T)));
        if constexpr (has_bias(T)) out[i] = __fadd_rn(out[i], a.bias);
    }
}

template <Type T>
__device__ __forceinline__ float load_element(const unsigned char* elements, long long at) {
    if constexpr (T == F32) return __ldg((const float*)elements + at);
    const unsigned short bits = __ldg((const unsigned short*)elements + at);
    return T == F16 ? f16_to_float(bits) : bf16_to_float(bits);
}

// 32 elements of a dense row; zeros past its end.
template <Type T>
__device__ __forceinline__ void load_dense_block(const Matrix& w, long long row, int block, float out[32]) {
    const long long first = 32LL * block;
    const long long at = row * w.cols + first;
    if (w.cols % 8 == 0 && first + 32 <= w.cols) {  // whole, and aligned for 16-byte loads
        const uint4* chunks = (const uint4*)(w.quants + at * (T == F32 ? 4 : 2));
#pragma unroll
        for (int c = 0; c < (T == F32 ? 8 : 4); c++) {
            const uint4 chunk = load_streaming(chunks + c);
            const unsigned int words[4] = {chunk.x, chunk.y, chunk.z, chunk.w};
#pragma unroll
            for (int k = 0; k < 4; k++) {
                if constexpr (T == F32) {
                    out[4 * c + k] = __uint_as_float(words[k]);
                } else {
                    const float2 pair = T == F16 ? f16x2_to_floats(words[k]) : bf16x2_to_floats(words[k]);
                    out[8 * c + 2 * k] = pair.x;
                    out[8 * c + 2 * k + 1] = pair.y;
                }
            }
        }
        return;
    }
#pragma unroll
    for (int eight = 0; eight < 32; eight += 8) {
        const bool is_inside = first + eight < w.cols;  // a branch: loads of 32 elements at once take too many registers
#pragma unroll
        for (int i = eight; i < eight + 8; i++) out[i] = 0.0f;
        if (!is_inside) continue;
#pragma unroll
        for (int i = eight; i < eight + 8; i++)
            if (first + i < w.cols) out[i] = load_element<T>(w.quants, at + i);
    }
}

// Elements 32*block .. 32*block + 31 of a row, of any type.
template <Type T>
__device__ __forceinline__ void load_block(const Matrix& w, long long row, int block, float out[32]) {
    if constexpr (is_dense(T)) {
        load_dense_block<T>(w, row, block, out);
    } else {
        dequantize_packed<T>(load_packed<T>(w, row, block), out);
    }
}
