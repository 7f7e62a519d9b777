// Matrix products of a chunk on the tensor cores, and what follows each. Letters: T = tokens, N = rows of W, K =
// columns. x are panels (panels.cuh) of K columns.
//
//   stack_product   y [T, y_stride] float32: up to three matrices of types A, B, C beside each other
//   add_product     y [T, y_stride] float32 += W @ x + bias
//   swiglu_product  y panels of N columns: swiglu of a gate and an up matrix of N rows each
//   gelu_product    the same of gelu and one matrix
//
// T lies in device memory, so that one graph serves all chunks up to a size; blocks past it leave at once. Launch:
// grid (ceil(most T / TOKENS), blocks of rows), so that blocks that share rows of W run side by side and find them in
// L2; block S::THREADS; dynamic shared memory as prefill_tile.py has it. A block has 16 * row_tiles rows of W, of
// swiglu_product half of them of either matrix; the last two kernels' fill up y's panels.
#include "activations.cuh"
#include "matmul_tile.cuh"

extern __shared__ __align__(1024) unsigned short shared_slots[];

// Up to three matrices; those that are missing have no rows.
struct LinearStack {
    Linear of[3];
};

// Whether the chunk has tokens for this block. It has for the first, which need not wait to know.
template <typename S>
__device__ inline bool has_tokens(const int* chunk_tokens) {
    return blockIdx.x == 0 || static_cast<int>(blockIdx.x) * S::TOKENS < *chunk_tokens;
}

// Runs a tile of the block's tokens. Returns T, which is read while the first weights are on their way.
template <typename S, typename Tile, typename RowsOf>
__device__ inline int run_tile(Tile& tile, RowsOf rows_of, int row_tiles, const Panels& x, const int* chunk_tokens) {
    const int first_token = blockIdx.x * S::TOKENS;
    int num_tokens;
    tile.run(shared_slots, rows_of, row_tiles, x, first_token, [&] {
        num_tokens = *chunk_tokens;
        return num_tokens - first_token;
    });
    return num_tokens;
}

// Multiplies the block's rows of one matrix, `block` counted within it. Returns T.
template <Type T, typename S>
__device__ inline int multiply(typename S::template Tile<T, T>& tile, const Panels& x, const Linear& linear, int block,
                               int row_tiles, const int* chunk_tokens) {
    const auto rows_of = [&](int r) {
        const int row = 16 * S::row_tile(block, r, row_tiles);
        return SixteenRows<T, T>(linear.w, linear.w, row, row + 8, linear.num_rows);
    };
    return run_tile<S>(tile, rows_of, row_tiles, x, chunk_tokens);
}

// Into columns of y, or onto them.
template <Type T, typename S, bool ADDS>
__device__ inline void multiply_into(const Panels& x, const Linear& linear, int block, int row_tiles,
                                     const int* chunk_tokens, float* y, int y_stride) {
    typename S::template Tile<T, T> tile;
    const int num_tokens = multiply<T, S>(tile, x, linear, block, row_tiles, chunk_tokens);
    // write(place of a result in y, its row): for each of a tile's results of this lane that exists.
    const auto each_place = [&](int r, int m, auto write) {
#pragma unroll
        for (int n = 0; n < 2; ++n)
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const int row = 16 * S::row_tile(block, r, row_tiles) + 8 * n + row_of_lane();
                const long long token = blockIdx.x * S::TOKENS + 8 * m + token_of_lane(i);
                if (row < linear.num_rows && token < num_tokens) write(y[token * y_stride + row], row, 2 * n + i);
            }
    };
    constexpr int BATCH = 4;  // of tiles whose loads are all before the first store, so that they are under way together
    tile.finish([&] {
#pragma unroll
        for (int batch = 0; batch * BATCH < decltype(tile)::TILES; ++batch) {
            float before[BATCH][4] = {};
            tile.each([&](int k, int r, int m) {
                if (!ADDS || k / BATCH != batch) return;
                each_place(r, m, [&](const float& place, int, int i) { before[k % BATCH][i] = place; });
            });
            tile.each([&](int k, int r, int m) {
                if (k / BATCH != batch) return;
                each_place(r, m, [&](float& place, int row, int i) {
                    place = before[k % BATCH][i] + (tile.sums[k][i] + element_or(linear.bias, row, 0.0f));
                });
            });
        }
    });
}

template <Type A, Type B, Type C, typename S>
__global__ void __launch_bounds__(S::THREADS, least_blocks<S, A, B, C>())
stack_product(const Panels x, const __grid_constant__ LinearStack stack, float* y, int y_stride,
              const int* chunk_tokens, int row_tiles) {
    let_next_start();
    if (!has_tokens<S>(chunk_tokens)) return;
    int which = 0, block = blockIdx.y;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const int num_blocks = (stack.of[i].num_rows + 16 * row_tiles - 1) / (16 * row_tiles);
        if (which == i && block >= num_blocks) {
            which = i + 1;
            block -= num_blocks;
            y += stack.of[i].num_rows;
        }
    }
    if constexpr (A == B) {
        if (B == C || which < 2) {
            multiply_into<A, S, false>(x, stack.of[which], block, row_tiles, chunk_tokens, y, y_stride);
            return;
        }
    } else if (which < 2) {
        if (which == 0)
            multiply_into<A, S, false>(x, stack.of[0], block, row_tiles, chunk_tokens, y, y_stride);
        else
            multiply_into<B, S, false>(x, stack.of[1], block, row_tiles, chunk_tokens, y, y_stride);
        return;
    }
    if constexpr (A != B || B != C) multiply_into<C, S, false>(x, stack.of[2], block, row_tiles, chunk_tokens, y, y_stride);
}

template <Type T, typename S>
__global__ void __launch_bounds__(S::THREADS, least_blocks<S, T>())
add_product(const Panels x, const __grid_constant__ Linear linear, float* y, int y_stride, const int* chunk_tokens,
            int row_tiles) {
    let_next_start();
    if (!has_tokens<S>(chunk_tokens)) return;
    multiply_into<T, S, true>(x, linear, blockIdx.y, row_tiles, chunk_tokens, y, y_stride);
}

template <Type GATE, Type UP, typename S>
__global__ void __launch_bounds__(S::THREADS, least_blocks<S, GATE, UP>())
swiglu_product(const Panels x, const __grid_constant__ Linear gate, const __grid_constant__ Linear up, const Panels y,
               const int* chunk_tokens, int row_tiles) {
    let_next_start();
    if (!has_tokens<S>(chunk_tokens)) return;
    const int first_token = blockIdx.x * S::TOKENS;
    typename S::template Tile<GATE, UP> tile;
    const auto first_row = [=](int r) { return 8 * S::row_tile(blockIdx.y, r, row_tiles); };
    const auto rows_of = [&](int r) {
        return SixteenRows<GATE, UP>(gate.w, up.w, first_row(r), first_row(r), gate.num_rows);
    };
    const int num_tokens = run_tile<S>(tile, rows_of, row_tiles, x, chunk_tokens);
    tile.finish([&] {
        tile.each([&](int k, int r, int m) {
            const int row = first_row(r) + row_of_lane(), own = min(row, gate.num_rows - 1);
            const float gate_bias = element_or(gate.bias, own, 0.0f), up_bias = element_or(up.bias, own, 0.0f);
            const float(&sums)[4] = tile.sums[k];
            const float inside[2] = {swiglu(sums[0] + gate_bias, sums[2] + up_bias),
                                     swiglu(sums[1] + gate_bias, sums[3] + up_bias)};
            store_activations(inside, row, y, [&](int i) {
                const int token = first_token + 8 * m + token_of_lane(i);
                return token < num_tokens ? token : -1;
            });
        });
    });
}

template <Type T, typename S>
__global__ void __launch_bounds__(S::THREADS, least_blocks<S, T>())
gelu_product(const Panels x, const __grid_constant__ Linear linear, const Panels y, const int* chunk_tokens, int row_tiles) {
    let_next_start();
    if (!has_tokens<S>(chunk_tokens)) return;
    const int first_token = blockIdx.x * S::TOKENS;
    typename S::template Tile<T, T> tile;
    const int num_tokens = multiply<T, S>(tile, x, linear, blockIdx.y, row_tiles, chunk_tokens);
    tile.finish([&] {
        tile.each([&](int k, int r, int m) {
#pragma unroll
            for (int n = 0; n < 2; ++n) {
                const int row = 16 * S::row_tile(blockIdx.y, r, row_tiles) + 8 * n + row_of_lane();
                const float bias = element_or(linear.bias, min(row, linear.num_rows - 1), 0.0f);
                const float inside[2] = {gelu(tile.sums[k][2 * n] + bias), gelu(tile.sums[k][2 * n + 1] + bias)};
                store_activations(inside, row, y, [&](int i) {
                    const int token = first_token + 8 * m + token_of_lane(i);
                    return token < num_tokens ? token : -1;
                });
            }
        });
    });
}
