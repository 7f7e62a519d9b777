// Every expert's matrices on the tokens that chose it. Letters: P = (token, slot) pairs, N = rows of an expert's
// matrix, K = columns, E = experts. x are panels whose rows are the pairs sorted by expert (prefill_experts.cu).
//
//   expert_swiglu_product  y panels of the same rows: the clamped swiglu of the expert's gate and up matrices
//   expert_product         y [P, y_stride] float32, a row a pair
//
//   w      [E * N, K], bias [E * N] or none; num_rows is N
//   lists  see ExpertLists
//
// Launch: grid (ceil(most pairs of an expert / TOKENS), blocks of rows, E), the rest as prefill_matmul.cu. Blocks past
// an expert's count leave: the host need not know the counts.
#include "activations.cuh"
#include "expert_lists.cuh"
#include "matmul_tile.cuh"

extern __shared__ __align__(1024) unsigned short shared_slots[];

template <Type GATE, Type UP, typename S>
__global__ void __launch_bounds__(S::THREADS, least_blocks<S, GATE, UP>())
expert_swiglu_product(const Panels x, const __grid_constant__ Linear gate, const __grid_constant__ Linear up,
                      float alpha, float limit, const Panels y, const ExpertLists lists, int row_tiles) {
    let_next_start();
    wait_for_previous();
    const int expert = blockIdx.z, first = blockIdx.x * S::TOKENS, count = lists.counts[expert] - first;
    if (count <= 0) return;
    const int first_pair = lists.starts[expert] + first;
    const int expert_row = expert * gate.num_rows;
    typename S::template Tile<GATE, UP> tile;
    const auto first_row = [=](int r) { return 8 * S::row_tile(blockIdx.y, r, row_tiles); };
    const auto rows_of = [&](int r) {
        const int row = expert_row + first_row(r);
        return SixteenRows<GATE, UP>(gate.w, up.w, row, row, expert_row + gate.num_rows);
    };
    tile.run(shared_slots, rows_of, row_tiles, x, first_pair, [=] { return count; });
    tile.finish([&] {
        tile.each([&](int k, int r, int m) {
            const int row = first_row(r) + row_of_lane();
            const int own = expert_row + min(row, gate.num_rows - 1);
            const float gate_bias = element_or(gate.bias, own, 0.0f), up_bias = element_or(up.bias, own, 0.0f);
            const float(&sums)[4] = tile.sums[k];
            const float inside[2] = {clamped_swiglu(sums[0] + gate_bias, sums[2] + up_bias, alpha, limit),
                                     clamped_swiglu(sums[1] + gate_bias, sums[3] + up_bias, alpha, limit)};
            store_activations(inside, row, y, [&](int i) {
                const int pair = 8 * m + token_of_lane(i);
                return pair < count ? first_pair + pair : -1;
            });
        });
    });
}

template <Type T, typename S>
__global__ void __launch_bounds__(S::THREADS, least_blocks<S, T>())
expert_product(const Panels x, const __grid_constant__ Linear linear, float* y, int y_stride,
               const ExpertLists lists, int row_tiles) {
    let_next_start();
    wait_for_previous();
    const int expert = blockIdx.z, first = blockIdx.x * S::TOKENS, count = lists.counts[expert] - first;
    if (count <= 0) return;
    const int first_pair = lists.starts[expert] + first;
    const int expert_row = expert * linear.num_rows;
    typename S::template Tile<T, T> tile;
    const auto rows_of = [&](int r) {
        const int row = expert_row + 16 * S::row_tile(blockIdx.y, r, row_tiles);
        return SixteenRows<T, T>(linear.w, linear.w, row, row + 8, expert_row + linear.num_rows);
    };
    tile.run(shared_slots, rows_of, row_tiles, x, first_pair, [=] { return count; });
    tile.finish([&] {
        tile.each([&](int k, int r, int m) {
#pragma unroll
            for (int n = 0; n < 2; ++n) {
                const int row = 16 * S::row_tile(blockIdx.y, r, row_tiles) + 8 * n + row_of_lane();
                if (row >= linear.num_rows) continue;
                const float bias = element_or(linear.bias, expert_row + row, 0.0f);
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const int pair = 8 * m + token_of_lane(i);
                    if (pair < count)
                        y[static_cast<long long>(lists.pairs[first_pair + pair]) * y_stride + row] =
                            tile.sums[k][2 * n + i] + bias;
                }
            }
        });
    });
}
