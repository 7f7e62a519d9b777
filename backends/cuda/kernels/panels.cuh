// Activations of many tokens, as the tensor cores take them: bfloat16 in panels of 64 columns, [panels][rows][64], so
// that a panel of consecutive tokens is one piece of memory and can be copied as such.
//
// Columns are stored in the order in which lanes hold packed weights (weight_fragments.cuh): inside of every 128, of
// a column's seven bits b6 b5 are its block t of 32, b3 b2 b4 the product j, b1 b0 one of the four elements that a lane
// holds of block t in that product. A product's 16 places are elements 0 and 1 of all four blocks, then 2 and 3. So a
// chunk of 8 places (16 bytes) has two columns of each block. Chunks of a panel's row are permuted, `chunk ^ (row % 8)`,
// so that eight rows' equal chunks share no bank of shared memory. Columns up to a multiple of 128 are zero.
#pragma once
#include "half.cuh"

constexpr int GROUP = 128;         // columns
constexpr int PANEL = 64;          // columns
constexpr int CHUNK = 8;           // columns, 16 bytes
constexpr int CHUNK_PAIRS = 4;

struct Panels {
    unsigned short* data;
    int rows;         // room for so many tokens, a multiple of 128: whole tiles may be read
    int num_columns;  // that count

    __device__ int num_panels() const { return (num_columns + GROUP - 1) / GROUP * (GROUP / PANEL); }
    __device__ int num_chunks() const { return num_panels() * (PANEL / CHUNK); }
    __device__ const unsigned short* panel(int index, int row) const {
        return data + (static_cast<long long>(index) * rows + row) * PANEL;
    }
    // Of a row; counted through all panels.
    __device__ uint4* chunk(int row, int index) const {
        const long long place = static_cast<long long>(index / 8) * rows + row;
        return reinterpret_cast<uint4*>(data + place * PANEL) + (index % 8 ^ (row & 7));
    }
    // Where two neighbouring columns, the first of them even, lie.
    __device__ unsigned* pair(int row, int column) const {
        const int chunk_in_group = (column >> 2 & 3) << 2 | (column >> 4 & 1) << 1 | (column >> 1 & 1);
        return reinterpret_cast<unsigned*>(chunk(row, column / GROUP * (GROUP / CHUNK) + chunk_in_group)) +
               (column >> 5 & 3);
    }
    // The first column of pair `index` of a chunk.
    __device__ static int column_of(int chunk_index, int index) {
        const int in_group = chunk_index % (GROUP / CHUNK);
        return chunk_index / (GROUP / CHUNK) * GROUP + index * 32 + (in_group >> 1 & 1) * 16 + (in_group >> 2) * 4 +
               (in_group & 1) * 2;
    }
};

// Store chunk `index` of a row, from value(i, column), the i-th of its CHUNK; what lies past the last column becomes zero.
template <typename Value>
__device__ inline void store_chunk(const Panels& y, int row, int index, Value value) {
    unsigned pairs[CHUNK_PAIRS];
#pragma unroll
    for (int i = 0; i < CHUNK_PAIRS; ++i) {
        const int column = Panels::column_of(index, i);
        pairs[i] = floats_to_bf16x2(column < y.num_columns ? value(2 * i, column) : 0.0f,
                                    column + 1 < y.num_columns ? value(2 * i + 1, column + 1) : 0.0f);
    }
    *y.chunk(row, index) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
}
