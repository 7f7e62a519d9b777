// Weights as an operand of a tensor core product, made in registers: a lane's block of 32 columns as bfloat16.
//
// Columns are multiplied in groups of 128, four blocks; of a row, lane t = lane % 4 holds block t. An m16n8k16 product
// takes four columns of every lane, so a group is eight products, and one product's 16 columns are four of each block.
// Product j takes elements 16 (j % 2) + 4 (j / 2) + 0..3: as a packed block's words have them, both halves of a word
// in turn. Activations are stored in that order (panels.cuh).
#pragma once
#include "half.cuh"
#include "packed.cuh"

constexpr int GROUP_PRODUCTS = 8;  // of 16 columns

// One block of a lane. Elements in pairs: product j takes pairs 2j and 2j + 1 of the order above.
template <Type T, bool IS_DENSE = is_dense(T)>
struct WeightFragment {
    // Quants meet floats as the upper mantissa bits of a power of two: BASE + quant is exact, and scaling and taking
    // BASE away again is one multiply-add, whose rounding is some 2^-9 of a bfloat16's.
    static constexpr bool IS_SIGNED_BYTE = T == Q8_0;
    static constexpr int LEAST = IS_SIGNED_BYTE ? -128 : -zero_point(T);  // what is stored as 0
    static constexpr float BASE = IS_SIGNED_BYTE ? 32768.0f : 128.0f;

    Packed<T> packed;
    float scale[2], offset[2];  // of either half of the block

    __device__ void set(const Packed<T>& p) {
        packed = p;
        const Affine a = affine<T>(p);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            scale[half] = a.scale[half];
            offset[half] = a.scale[half] * (LEAST - BASE);
            if constexpr (has_bias(T)) offset[half] += a.bias;
        }
    }

    __device__ void pairs(int product, unsigned& first, unsigned& second) const {
        const int half = product % 2;
        const unsigned quants = stored_quants(product / 2, half);
        float values[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            // BASE's upper bits, the quant where a step of 1 is, zeros: three bytes of two registers.
            const float raised = IS_SIGNED_BYTE ? __uint_as_float(__byte_perm(quants, 0x47u, 0x4505u | i << 4))
                                                : __uint_as_float(__byte_perm(quants, 0x43u, 0x4055u | i << 8));
            values[i] = fmaf(raised, scale[half], offset[half]);
        }
        first = floats_to_bf16x2(values[0], values[1]);
        second = floats_to_bf16x2(values[2], values[3]);
    }

  private:
    // Elements 16 half + 4 word + 0..3 less LEAST, a byte each.
    __device__ unsigned stored_quants(int word, int half) const {
        const unsigned words[4] = {packed.quants.x, packed.quants.y, packed.quants.z, packed.quants.w};
        if constexpr (T == Q8_0) {
            const unsigned upper[4] = {packed.upper.x, packed.upper.y, packed.upper.z, packed.upper.w};
            return (half == 0 ? words[word] : upper[word]) ^ 0x80808080u;
        } else {
            unsigned quants = words[word] >> (4 * half) & 0x0f0f0f0fu;
            if constexpr (has_fifth_bit(T)) {
                const unsigned bit = half == 0 ? packed.high.x << (4 - word) : packed.high.x >> word;
                quants |= bit & 0x10101010u;
            } else if constexpr (T == Q6_K) {
                const unsigned high = half == 0 ? packed.high.x : packed.high.y;
                quants |= (word < 2 ? high << (4 - 2 * word) : high >> (2 * word - 4)) & 0x30303030u;
            }
            return quants;
        }
    }
};

// FP4 (E2M1) is bfloat16 of a sign, two bits of exponent and one of mantissa: with those bits in their places, a code is
// 2^-127 of its value doubled. That and the scale are powers of two, and both multiplications exact.
template <>
struct WeightFragment<MXFP4, false> {
    uint4 codes;
    unsigned scales;  // half the scale, twice as bfloat16

    __device__ void set(const Packed<MXFP4>& p) {
        codes = p.quants;
        scales = __byte_perm(__float_as_uint(e8m0_half_to_float(p.scales)), 0, 0x3232);
    }

    __device__ void pairs(int product, unsigned& first, unsigned& second) const {
        const unsigned words[4] = {codes.x, codes.y, codes.z, codes.w};
        first = pair(__byte_perm(words[product / 2], 0, 0x1404), product % 2);
        second = pair(__byte_perm(words[product / 2], 0, 0x3424), product % 2);
    }

  private:
    // Of two bytes, each the upper one of a half: their low or high codes.
    __device__ unsigned pair(unsigned bytes, int half) const {
        constexpr unsigned SIGN = 0x80008000u, MAGNITUDE = 0x01c001c0u, TWO_TO_127 = 0x7f007f00u;
        const unsigned placed = half == 0 ? (bytes << 4 & SIGN) | (bytes >> 2 & MAGNITUDE)
                                          : (bytes & SIGN) | (bytes >> 6 & MAGNITUDE);
        return multiply_bf16x2(multiply_bf16x2(placed, TWO_TO_127), scales);
    }
};

// Dense weights are rounded when they arrive; blocks past the end of a row are zeros.
template <Type T>
struct WeightFragment<T, true> {
    unsigned rounded[16];

    __device__ void pairs(int product, unsigned& first, unsigned& second) const {
        const int at = product % 2 * 8 + product / 2 * 2;
        first = rounded[at];
        second = rounded[at + 1];
    }
};

// A block on its way, as it is stored: nothing is computed before it is needed. Dense ones are rounded at once,
// since they take twice the registers otherwise.
template <Type T, bool IS_DENSE = is_dense(T)>
struct FetchedBlock {
    Packed<T> packed = {};
    __device__ void load(const Matrix& w, int row, int block, bool is_wanted) {
        const int num_blocks = static_cast<int>(w.cols / 32);
        load_parts<T>(packed, w, static_cast<unsigned>(row) * num_blocks, min(block, num_blocks - 1),
                      WantedPartLoader{is_wanted});
    }
    __device__ void prepare(WeightFragment<T>& fragment) const { fragment.set(packed); }
};

template <Type T>
struct FetchedBlock<T, true> {
    WeightFragment<T> fragment;
    __device__ void load(const Matrix& w, int row, int block, bool is_wanted) {
        if (!is_wanted) return;
        float values[32];
        load_block<T>(w, row, block, values);
#pragma unroll
        for (int i = 0; i < 16; ++i) fragment.rounded[i] = floats_to_bf16x2(values[2 * i], values[2 * i + 1]);
    }
    __device__ void prepare(WeightFragment<T>& other) const { other = fragment; }
};
