// x += W @ v + bias: what attention and feed-forward give back to the residual stream.
// Letters: K = columns. PARTS warps share the columns of ROWS rows where rows alone would not fill the device.
#include "matvec.cuh"
#include "pdl.cuh"

template <Source SOURCE, int COLS, Type T, int ROWS, int PARTS, int WARPS, int STAGES>
__global__ void __launch_bounds__(32 * WARPS, 1) decode_project(const Input in, const Rows rows, float* x) {
    constexpr int GROUPS = WARPS / PARTS;  // of a block, at a time
    static_assert(WARPS % PARTS == 0);
    constexpr int INPUT_BYTES = shared_input_bytes(COLS, wants_int8(T), !wants_int8(T));
    using Stage = RowStage<T, COLS, ROWS, PARTS>;
    extern __shared__ __align__(16) char shared[];
    __shared__ float partial[2][GROUPS][PARTS][ROWS];
    RowSums<GROUPS, PARTS, ROWS> row_sums{partial};
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, part = warp % PARTS;
    const int total = num_groups<ROWS>(rows.num_rows), stride = gridDim.x * GROUPS;
    const auto locate = [&](int group) { return Stage::locate(rows.matrix, group * ROWS, rows.num_rows - group * ROWS, part); };
    const auto copy = [&](SharedAddress slot, const RowSource& source, int turn) { Stage::copy(slot, source, turn, part); };

    let_next_start();
    int base = blockIdx.x;  // the block's first group; the others are gridDim.x apart
    auto ring = start_ring<Stage::BYTES, STAGES>(
        shared + ring_offset(INPUT_BYTES), base + warp / PARTS * gridDim.x, total, stride, locate, copy);
    wait_for_previous();
    const SharedInput v = InputMaker<SOURCE, COLS, WARPS, wants_int8(T), !wants_int8(T)>(in).prepare(shared);

    for (; base < total; base += stride) {  // the same for all warps of a block
        const int group = base + warp / PARTS * static_cast<int>(gridDim.x), row = group * ROWS + lane;
        const bool stores = part == 0 && lane < ROWS && row < rows.num_rows;
        const float before = stores ? __ldcg(x + row) + element_or(rows.bias, row, 0.0f) : 0.0f;
        float sums[ROWS] = {};
        if (group < total) add_rows<Stage>(sums, ring, rows.matrix, group * ROWS, v, part);
        const float sum = row_sums.add_parts(sums);
        if (stores) x[row] = before + sum;
    }
}
