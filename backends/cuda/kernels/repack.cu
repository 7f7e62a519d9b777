// repack: blocks as the file stores them to planes (see packed_layout.cuh). Same bits, other places.
//
//   staged       [num_blocks] blocks of the file, at least 2-byte aligned where the block's size is even
//   first_block  of the tensor, in the order of the file: the one at the start of `staged`
//   w            the planes of the whole tensor, written here
//
// Launch: grid (blocks of 256 threads over all sub-blocks), one thread a sub-block of 32 elements.
// Source: ggml-common.h, the block structures; gguf, quants.py.
#include "packed_layout.cuh"

// The stored quant of element `i` of sub-block `s`, all its bits in place. One case a block structure.
template <Type T>
__device__ __forceinline__ unsigned int stored_quant(const unsigned char* block, int s, int i) {
    if constexpr (T == Q8_0) return block[2 + i];
    if constexpr (T == Q4_K) return block[16 + 32 * (s / 2) + i] >> (4 * (s % 2)) & 15;
    if constexpr (T == Q5_K) {
        const unsigned int low = block[48 + 32 * (s / 2) + i] >> (4 * (s % 2)) & 15;
        return low | (block[16 + i] >> s & 1) << 4;
    }
    if constexpr (T == Q6_K) {  // two halves of 128 elements, four sub-blocks each
        const int half = s / 4;
        const int quarter = s % 4;
        const unsigned int low = block[64 * half + 32 * (quarter % 2) + i] >> (4 * (quarter / 2)) & 15;
        return low | (block[128 + 32 * half + i] >> (2 * quarter) & 3) << 4;
    }
    constexpr int HEADER = T == MXFP4 ? 1 : T == Q4_1 || T == Q5_1 ? 4 : 2;  // the scales
    constexpr int NIBBLES = HEADER + (has_fifth_bit(T) ? 4 : 0);
    unsigned int quant = block[NIBBLES + i % 16] >> (4 * (i / 16)) & 15;
    if constexpr (has_fifth_bit(T)) quant |= (block[HEADER + i / 8] >> (i % 8) & 1) << 4;
    return quant;
}

__device__ __forceinline__ unsigned int two_bytes(const unsigned char* bytes) { return bytes[0] | bytes[1] << 8; }

// The file keeps the upper two bits of the last four scales and minima with the first four; here each has its six.
__device__ __forceinline__ uint4 pack_super_block(const unsigned char* block) {
    const unsigned char* packed = block + 4;
    unsigned int bits[4] = {};
#pragma unroll
    for (int s = 0; s < 8; ++s) {
        unsigned int scale = packed[s % 4] & 63;
        unsigned int minimum = packed[s % 4 + 4] & 63;
        if (s >= 4) {
            scale = (packed[s + 4] & 15) | packed[s - 4] >> 6 << 4;
            minimum = packed[s + 4] >> 4 | packed[s] >> 6 << 4;
        }
        const unsigned long long both = (unsigned long long)(scale | minimum << 6) << (12 * s % 32);
        bits[12 * s / 32] |= (unsigned int)both;
        bits[12 * s / 32 + 1] |= (unsigned int)(both >> 32);
    }
    return make_uint4(two_bytes(block) | two_bytes(block + 2) << 16, bits[0], bits[1], bits[2]);
}

// The planes are constant to every kernel but this one.
template <class Value>
__device__ __forceinline__ void store(const unsigned char* plane, long long at, Value value) {
    const_cast<Value*>(reinterpret_cast<const Value*>(plane))[at] = value;
}

__device__ __forceinline__ uint4 four_words(const unsigned int* words) {
    return make_uint4(words[0], words[1], words[2], words[3]);
}

template <Type T>
__global__ void __launch_bounds__(256)
repack(const unsigned char* staged, long long first_block, int num_blocks, Matrix w) {
    constexpr int SUB_BLOCKS = has_super_block(T) || T == Q6_K ? 8 : 1;  // of a block of the file
    constexpr int BLOCK_BYTES =
        T == MXFP4 ? 17 : T == Q4_0 ? 18 : T == Q4_1 ? 20 : T == Q5_0 ? 22 : T == Q5_1 ? 24 : T == Q8_0 ? 34
        : T == Q4_K ? 144 : T == Q5_K ? 176 : 210;
    const long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (long long)num_blocks * SUB_BLOCKS) return;
    const unsigned char* block = staged + index / SUB_BLOCKS * BLOCK_BYTES;
    const int s = (int)(index % SUB_BLOCKS);
    const long long at = first_block * SUB_BLOCKS + index;  // sub-block of the tensor

    unsigned int words[8] = {};  // a quant a byte: element 4*k + b is byte b of words[k]
    unsigned int nibbles[4];     // the lower four bits of each
    unsigned int high[2] = {};   // the bits above these
#pragma unroll
    for (int i = 0; i < 32; ++i) {
        const unsigned int quant = stored_quant<T>(block, s, i);
        words[i / 4] |= quant << (8 * (i % 4));
        if constexpr (has_fifth_bit(T)) high[0] |= (quant >> 4) << (8 * (i % 4) + i / 4);
        if constexpr (T == Q6_K) high[i / 16] |= (quant >> 4) << (8 * (i % 4) + 2 * (i % 16 / 4));
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) nibbles[k] = (words[k] & 0x0f0f0f0fu) | (words[k + 4] & 0x0f0f0f0fu) << 4;

    if constexpr (T == Q8_0) {
        const long long blocks_a_row = w.cols / 32;
        const long long row = at / blocks_a_row;
        store(w.quants, at + row * blocks_a_row, four_words(words));
        store(w.quants, at + (row + 1) * blocks_a_row, four_words(words + 4));
    } else {
        store(w.quants, at, four_words(nibbles));
    }
    if constexpr (has_fifth_bit(T)) store(w.high, at, high[0]);
    if constexpr (T == Q6_K) {
        store(w.high, at, make_uint2(high[0], high[1]));
        store(w.scales, at, (unsigned short)two_bytes(block + 192 + 2 * s));
        if (s == 0) store(w.super, at / 8, (unsigned short)two_bytes(block + 208));
    } else if constexpr (has_super_block(T)) {
        if (s == 0) store(w.super, at / 8, pack_super_block(block));
    } else if constexpr (T == MXFP4) {
        store(w.scales, at, block[0]);
    } else if constexpr (T == Q4_1 || T == Q5_1) {
        store(w.scales, at, two_bytes(block) | two_bytes(block + 2) << 16);
    } else {
        store(w.scales, at, (unsigned short)two_bytes(block));
    }
}
