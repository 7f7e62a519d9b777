// matmul: y = x @ w^T + bias, or y += that, on the tensor cores. Letters: T = tokens, N = rows of w, K = columns.
//
//   x     [T, x_stride]  bfloat16, zero past column K; x_stride a multiple of 64
//   w     [N, K]         packed, of type `TYPE`
//   bias  [N]            or none
//   y     [T, y_stride]  float32, N columns from where `y` points
//
// Launch: grid (ceil(T / TOKENS), ceil(N / ROWS)): blocks that share rows of w run side by side and find them in
// L2. Block 2 * ROWS; dynamic shared memory 4 * 64 * (TOKENS + ROWS) bytes. See matmul_tile.cuh.
#include "matmul_tile.cuh"
#include "pdl.cuh"
#include "vector.cuh"

template <Type TYPE, int TOKENS, int ROWS>
__global__ void __launch_bounds__(2 * ROWS, least_blocks<TYPE, TOKENS>())
matmul(const unsigned short* x, int x_stride, Matrix w, Vector bias, float* y, int y_stride,
       int num_tokens, int num_rows, int adds) {
    let_next_start();
    extern __shared__ uint4 shared[];
    const int first_token = blockIdx.x * TOKENS, first_tile_row = blockIdx.y * ROWS;
    const auto token_row = [&](int i) { return first_token + i < num_tokens ? first_token + i : -1; };
    const int num_tile_rows = num_rows - first_tile_row;
    MatmulLoop<TYPE, TOKENS, ROWS> loop(reinterpret_cast<unsigned short*>(shared), x, x_stride, token_row, w,
                                        first_tile_row, num_tile_rows);
    loop.run();
    const auto bias_of = [&](int row) { return element_or(bias, first_tile_row + row, 0.0f); };
    const auto target = [&](int token) {
        float* row = y + static_cast<long long>(first_token + token) * y_stride + first_tile_row;
        return first_token + token < num_tokens ? row : nullptr;
    };
    loop.write(num_tile_rows, bias_of, target, adds);
}
