// x += W @ v + bias: what attention and feed-forward give back to the residual stream.
// Letters: K = columns. PARTS warps share the columns of ROWS rows where rows alone would not fill the device.
#include "matvec.cuh"
#include "pdl.cuh"

template <Source SOURCE, int COLS, Type T, int ROWS, int PARTS, int WARPS>
__global__ void __launch_bounds__(32 * WARPS, 1) decode_project(const Input in, const Rows rows, float* x) {
    constexpr int GROUPS = WARPS / PARTS;  // of a block, at a time
    static_assert(WARPS % PARTS == 0);
    extern __shared__ __align__(16) char shared[];
    __shared__ float partial[GROUPS][PARTS][ROWS];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, part = warp % PARTS;
    const int total = (rows.num_rows + ROWS - 1) / ROWS;
    const int stride = gridDim.x * GROUPS;
    RowDots<T, COLS, ROWS, PARTS> dots;
    long long numbers[ROWS];

    let_next_start();
    int base = blockIdx.x * GROUPS;
    rows_of_group(rows, min(base + warp / PARTS, total - 1), numbers);
    dots.load(rows.matrix, numbers, part);
    wait_for_previous();
    const SharedInput v = InputMaker<SOURCE, COLS, WARPS, wants_int8(T), !wants_int8(T)>(in).prepare(shared);

    for (; base < total; base += stride) {  // the same for all warps of a block
        const int group = min(base + warp / PARTS, total - 1);
        rows_of_group(rows, group, numbers);
        float sums[ROWS] = {};
        dots.add(sums, rows.matrix, numbers, v, part, [&] {
            long long next[ROWS];
            rows_of_group(rows, min(base + stride + warp / PARTS, total - 1), next);
            if (base + stride < total) dots.load(rows.matrix, next, part);
        });
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            sums[i] = warp_sum(sums[i]);
            if (PARTS > 1 && lane == i) partial[warp / PARTS][part][i] = sums[i];
        }
        if constexpr (PARTS > 1) __syncthreads();
        const int row = group * ROWS + lane;
        if (part == 0 && base + warp / PARTS < total && lane < ROWS && row < rows.num_rows) {
            float sum = 0.0f;
            if constexpr (PARTS > 1) {
#pragma unroll
                for (int p = 0; p < PARTS; ++p) sum += partial[warp / PARTS][p][lane];
            } else {
#pragma unroll
                for (int i = 0; i < ROWS; ++i)
                    if (lane == i) sum = sums[i];
            }
            x[row] = __ldcg(x + row) + sum + element_or(rows.bias, row, 0.0f);
        }
        if constexpr (PARTS > 1) __syncthreads();
    }
}
