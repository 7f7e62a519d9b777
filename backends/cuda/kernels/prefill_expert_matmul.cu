// expert_matmul: every expert's matrix on the tokens that chose it. Letters: P = (token, slot) pairs, N = rows of an
// expert's matrix, K = columns, E = experts, C = capacity of an expert's list.
//
//   x       [P / pairs_per_x_row, x_stride]  bfloat16, zero past column K; x_stride a multiple of 64
//   w       [E * N, K]                       packed, of type `TYPE`
//   bias    [E, N]                           or none
//   y       [P, y_stride]                    float32, N columns from where `y` points
//   counts  [E]                              pairs of each expert, at most C
//   pairs   [E, C]                           their indices
//
// Launch: grid (ceil(C / TOKENS), ceil(N / ROWS), E), block and shared memory as `matmul`. Blocks past an expert's
// count leave at once: the host need not know the counts.
#include "matmul_tile.cuh"
#include "pdl.cuh"
#include "vector.cuh"

template <Type TYPE, int TOKENS, int ROWS>
__global__ void __launch_bounds__(2 * ROWS, least_blocks<TYPE, TOKENS>())
expert_matmul(const unsigned short* x, int x_stride, Matrix w, Vector bias, float* y,
              int y_stride, int num_rows, const int* counts, const int* pairs,
              int capacity, int pairs_per_x_row) {
    let_next_start();
    wait_for_previous();
    extern __shared__ uint4 shared[];
    const int first_token = blockIdx.x * TOKENS, first_tile_row = blockIdx.y * ROWS;
    const int expert = blockIdx.z, count = counts[expert];
    if (first_token >= count) return;
    const int* own = pairs + static_cast<long long>(expert) * capacity + first_token;
    const long long first_row = static_cast<long long>(expert) * num_rows;
    const auto token_row = [&](int i) { return first_token + i < count ? own[i] / pairs_per_x_row : -1; };
    const int num_tile_rows = num_rows - first_tile_row;
    MatmulLoop<TYPE, TOKENS, ROWS> loop(reinterpret_cast<unsigned short*>(shared), x, x_stride, token_row, w,
                                        first_row + first_tile_row, num_tile_rows);
    loop.run();
    const auto bias_of = [&](int row) { return element_or(bias, first_row + first_tile_row + row, 0.0f); };
    const auto target = [&](int token) {
        const bool is_inside = first_token + token < count;
        return is_inside ? y + static_cast<long long>(own[token]) * y_stride + first_tile_row : nullptr;
    };
    loop.write(num_tile_rows, bias_of, target, false);
}
