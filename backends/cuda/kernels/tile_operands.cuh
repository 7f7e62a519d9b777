// The operands of a tile's products (matmul_tile.cuh): sixteen rows of W in a warp's registers, sixteen tokens of X.
#pragma once
#include "packed.cuh"
#include "panels.cuh"
#include "tensor_core.cuh"
#include "vector.cuh"
#include "weight_fragments.cuh"

constexpr int PARTS = 8;
constexpr int PART_PRODUCTS = GROUP_PRODUCTS / 2;  // of a panel

// A matrix with its bias, or some of its rows.
struct Linear {
    Matrix w;
    int num_rows;
    Vector bias;  // of the first of those rows on; or none
};

// Of the eight rows and eight tokens of a product's result, the row and the two tokens that this lane holds.
__device__ inline int row_of_lane() { return threadIdx.x % 32 / 4; }
__device__ inline int token_of_lane(int i) { return threadIdx.x % 4 * 2 + i; }

// Groups of K, and in a part; the last parts may have fewer or none.
struct Groups {
    int all, of_part;
    __device__ explicit Groups(long long num_columns)
        : all(static_cast<int>((num_columns + GROUP - 1) / GROUP)), of_part((all + PARTS - 1) / PARTS) {}
    __device__ int begin(int part) const { return min(part * of_part, all); }
};

// The blocks of sixteen rows that a lane holds: on their way, and ready to be multiplied.
template <Type EVEN, Type ODD>
struct FetchedRows {
    FetchedBlock<EVEN> even;
    FetchedBlock<ODD> odd;
};

template <Type EVEN, Type ODD>
struct RowFragments {
    WeightFragment<EVEN> even;
    WeightFragment<ODD> odd;

    __device__ void set(const FetchedRows<EVEN, ODD>& fetched) {
        fetched.even.prepare(even);
        fetched.odd.prepare(odd);
    }
    // The left operand of a product.
    __device__ void operand(unsigned (&w)[4], int product) const {
        even.pairs(product, w[0], w[2]);
        odd.pairs(product, w[1], w[3]);
    }
};

// Sixteen rows of W, those from `end` on replaced by the last one: what they give is nobody's.
template <Type EVEN, Type ODD>
struct SixteenRows {
    const Matrix& even;
    const Matrix& odd;
    int rows[2];  // of this lane

    __device__ SixteenRows(const Matrix& even_matrix, const Matrix& odd_matrix, int even_row, int odd_row, int end)
        : even(even_matrix), odd(odd_matrix),
          rows{min(even_row + row_of_lane(), end - 1), min(odd_row + row_of_lane(), end - 1)} {}

    __device__ void fetch(FetchedRows<EVEN, ODD>& fetched, int group, bool is_wanted) const {
        const int block = group * 4 + threadIdx.x % 4;
        fetched.even.load(even, rows[0], block, is_wanted);
        fetched.odd.load(odd, rows[1], block, is_wanted);
    }
};

// The right operands of a panel's product `product`, of the sixteen tokens that the panel's rows begin with.
__device__ inline void load_sixteen_tokens(unsigned (&tokens)[4], const unsigned short* panel, int product) {
    const int lane = threadIdx.x % 32, token = lane / 16 * 8 + lane % 8;
    const int place = token * PANEL + (lane / 8 % 2 ^ (token & 7)) * CHUNK;  // of product 0
    load_matrices(tokens, panel + (place ^ product * 2 * CHUNK));
}
