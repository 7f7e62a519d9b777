// One tile of Y = X @ W^T on the tensor cores, of many tokens (many_tile.cuh) or few (few_tile.cuh). W goes from memory to
// registers and becomes bfloat16 there; only X passes through shared memory.
//
// Letters: K = columns of X and W. X are panels (panels.cuh); W is [rows, K], packed, of any type. Sixteen rows of W are
// the left operand of a product, eight tokens the right one. Of the sixteen, eight are of type EVEN and eight of type
// ODD: of one matrix or, where two are multiplied together, of both.
//
// K is cut into PARTS parts, the same whatever the tile. Every output is the sum of its parts in their order, and a
// part is one float32 accumulator that takes K in groups of 16, in the same order whatever the instruction: a token's
// result depends neither on the tokens beside it nor on the tile, to the bit.
#pragma once
#include "few_tile.cuh"
#include "half.cuh"
#include "many_tile.cuh"
#include "panels.cuh"

// What a block computes, as a kernel's parameter: the tile, and which sixteen rows are its own.
template <int TOKENS_, int WARPS>
struct Many {
    static constexpr int TOKENS = TOKENS_, THREADS = 32 * WARPS;
    template <Type EVEN, Type ODD>
    using Tile = ManyTile<EVEN, ODD, TOKENS, WARPS>;
    static constexpr bool IS_FEW = false;
    __device__ static int row_tile(int block, int, int) { return block * WARPS + threadIdx.x / 32; }
};

template <int SHARERS, int STAGES>
struct Few {
    static constexpr int TOKENS = 16, THREADS = 32 * PARTS * SHARERS;
    template <Type EVEN, Type ODD>
    using Tile = FewTile<EVEN, ODD, SHARERS, STAGES>;
    static constexpr bool IS_FEW = true;
    __device__ static int row_tile(int block, int r, int row_tiles) { return block * row_tiles + r; }
};

// Blocks of a multiprocessor that the registers must suffice for. Of few tokens two where a block is small and they do, so
// that one computes while the other begins or ends.
template <typename S, Type FIRST, Type... TYPES>
constexpr int least_blocks() {
    return S::IS_FEW && S::THREADS <= 256 && !is_dense(FIRST) && !(is_dense(TYPES) || ...) ? 2 : 1;
}

// Store what each lane made of its row and its two tokens as activations: lanes of neighbouring rows exchange values, so
// that each has both rows of one token. All lanes of a warp take part.
// Args:
//   values: of this lane's row and its tokens 0 and 1.
//   column: that the row becomes: zero where it does not count, nothing past the last panel.
//   row(i): of y, for this lane's token i; negative where there is none.
template <typename Row>
__device__ inline void store_activations(const float (&values)[2], int column, const Panels& y, Row row) {
    const bool is_odd = column % 2, counts = column < y.num_columns;
    const float own[2] = {counts ? values[0] : 0.0f, counts ? values[1] : 0.0f};
    const float other = __shfl_xor_sync(0xffffffffu, is_odd ? own[0] : own[1], 4);
    const int target = row(is_odd);
    if (target < 0 || column >= y.num_panels() * PANEL) return;
    *y.pair(target, column & ~1) = is_odd ? floats_to_bf16x2(other, own[1]) : floats_to_bf16x2(own[0], other);
}
