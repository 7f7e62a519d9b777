// The inside of a feed-forward: h = silu(gate @ norm(x)) * (up @ norm(x)), or h = gelu(up @ norm(x) + bias).
// Letters: K = columns, F = intermediate_size. A warp takes the same rows of gate and up. Where h is multiplied
// with quantized weights next, it is written as int8 blocks: a block of threads then makes 32 of its elements at
// a time.
#include "activations.cuh"
#include "inside_store.cuh"
#include "matvec.cuh"
#include "pdl.cuh"

template <Source SOURCE, int COLS, Type A, Type B, int ROWS, bool AS_INT8, int WARPS, int STAGES>
__global__ void __launch_bounds__(32 * WARPS, 1) decode_swiglu(const Input in, const Rows gate, const Rows up, void* h) {
    using Stage = PairStage<A, B, COLS, ROWS>;
    constexpr bool INT8 = wants_int8(A) || wants_int8(B), DENSE = !wants_int8(A) || !wants_int8(B);
    extern __shared__ __align__(16) char shared[];
    __shared__ float buffer[2][ROWS * WARPS];
    InsideStore<AS_INT8, ROWS, WARPS> inside{buffer};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int total = num_groups<ROWS>(gate.num_rows), stride = gridDim.x * WARPS;
    const auto locate = [&](int group) {
        return Stage::locate(gate.matrix, up.matrix, group * ROWS, gate.num_rows - group * ROWS);
    };
    const auto copy = [](SharedAddress slot, const PairSource& source, int turn) { Stage::copy(slot, source, turn); };

    let_next_start();
    int base = blockIdx.x * WARPS;
    auto ring = start_ring<Stage::BYTES, STAGES>(
        shared + ring_offset(shared_input_bytes(COLS, INT8, DENSE)), base + warp, total, stride, locate, copy);
    const InputMaker<SOURCE, COLS, WARPS, INT8, DENSE> input(in);
    wait_for_previous();
    const SharedInput x = input.prepare(shared);

    for (; base < total; base += stride) {  // the same for all warps of a block
        const int group = base + warp;
        const int row = min(group * ROWS + lane % ROWS, gate.num_rows - 1);
        const float gate_bias = element_or(gate.bias, row, 0.0f);  // on their way during the arithmetic
        const float up_bias = element_or(up.bias, row, 0.0f);
        float gates[ROWS] = {}, ups[ROWS] = {};
        if (group < total) Stage::add(gates, ups, ring, gate.matrix, up.matrix, group * ROWS, x);
        const float g = warp_sum_of_each(gates) + gate_bias, u = warp_sum_of_each(ups) + up_bias;
        inside.store(swiglu(g, u), group * ROWS, gate.num_rows, h);
    }
}

template <Source SOURCE, int COLS, Type T, int ROWS, bool AS_INT8, int WARPS, int STAGES>
__global__ void __launch_bounds__(32 * WARPS, 1) decode_gelu(const Input in, const Rows up, void* h) {
    using Stage = RowStage<T, COLS, ROWS>;
    constexpr int INPUT_BYTES = shared_input_bytes(COLS, wants_int8(T), !wants_int8(T));
    extern __shared__ __align__(16) char shared[];
    __shared__ float buffer[2][ROWS * WARPS];
    InsideStore<AS_INT8, ROWS, WARPS> inside{buffer};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int total = num_groups<ROWS>(up.num_rows), stride = gridDim.x * WARPS;
    const auto locate = [&](int group) { return Stage::locate(up.matrix, group * ROWS, up.num_rows - group * ROWS); };
    const auto copy = [](SharedAddress slot, const RowSource& source, int turn) { Stage::copy(slot, source, turn); };

    let_next_start();
    int base = blockIdx.x * WARPS;
    auto ring = start_ring<Stage::BYTES, STAGES>(shared + ring_offset(INPUT_BYTES), base + warp, total, stride, locate, copy);
    const InputMaker<SOURCE, COLS, WARPS, wants_int8(T), !wants_int8(T)> input(in);
    wait_for_previous();
    const SharedInput x = input.prepare(shared);

    for (; base < total; base += stride) {
        const int group = base + warp;
        const int row = min(group * ROWS + lane % ROWS, up.num_rows - 1);
        const float bias = element_or(up.bias, row, 0.0f);  // on its way during the arithmetic
        float sums[ROWS] = {};
        if (group < total) add_rows<Stage>(sums, ring, up.matrix, group * ROWS, x);
        inside.store(gelu(warp_sum_of_each(sums) + bias), group * ROWS, up.num_rows, h);
    }
}
