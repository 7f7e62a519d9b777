// The inside of a feed-forward: h = silu(gate @ norm(x)) * (up @ norm(x)), or h = gelu(up @ norm(x) + bias).
// Letters: K = columns, F = intermediate_size. A warp takes the same rows of gate and up.
#include "activations.cuh"
#include "matvec.cuh"
#include "pdl.cuh"

template <Norm NORM, int COLS, Type A, Type B, int ROWS, int WARPS>
__global__ void __launch_bounds__(32 * WARPS) decode_swiglu(const Input in, const Rows gate, const Rows up, float* h) {
    extern __shared__ __align__(16) char shared[];
    const int lane = threadIdx.x % 32;
    const int total = (gate.num_rows + ROWS - 1) / ROWS, stride = gridDim.x * WARPS;
    RowDots<A, COLS, ROWS> gate_dots;
    RowDots<B, COLS, ROWS> up_dots;
    const auto load_gate = [&](int group) {
        long long numbers[ROWS];
        rows_of_group(gate, group, numbers);
        gate_dots.load(gate.matrix, numbers, 0);
    };
    const auto load_up = [&](int group) {
        long long numbers[ROWS];
        rows_of_group(up, group, numbers);
        up_dots.load(up.matrix, numbers, 0);
    };

    let_next_start();
    int group = blockIdx.x * WARPS + threadIdx.x / 32;
    if (group < total) {
        load_gate(group);
        load_up(group);
    }
    wait_for_previous();
    constexpr bool INT8 = wants_int8(A) || wants_int8(B), FLOATS = !wants_int8(A) || !wants_int8(B);
    const SharedInput x = prepare_input<NORM, COLS, WARPS, INT8, FLOATS>(in, shared);

    for (; group < total; group += stride) {
        const bool has_next = group + stride < total;
        long long numbers[ROWS];
        float gates[ROWS] = {}, ups[ROWS] = {};
        rows_of_group(gate, group, numbers);
        gate_dots.add(gates, gate.matrix, numbers, x, 0, [&] {
            if (has_next) load_gate(group + stride);
        });
        rows_of_group(up, group, numbers);
        up_dots.add(ups, up.matrix, numbers, x, 0, [&] {
            if (has_next) load_up(group + stride);
        });
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            const int row = group * ROWS + i;
            const float g = warp_sum(gates[i]), u = warp_sum(ups[i]);
            if (lane == i && row < gate.num_rows)
                h[row] = swiglu(g + element_or(gate.bias, row, 0.0f),
                                u + element_or(up.bias, row, 0.0f));
        }
    }
}

template <Norm NORM, int COLS, Type T, int ROWS, int WARPS>
__global__ void __launch_bounds__(32 * WARPS) decode_gelu(const Input in, const Rows up, float* h) {
    extern __shared__ __align__(16) char shared[];
    const int lane = threadIdx.x % 32;
    const int total = (up.num_rows + ROWS - 1) / ROWS, stride = gridDim.x * WARPS;
    RowDots<T, COLS, ROWS> dots;
    const auto load = [&](int group) {
        long long numbers[ROWS];
        rows_of_group(up, group, numbers);
        dots.load(up.matrix, numbers, 0);
    };

    let_next_start();
    int group = blockIdx.x * WARPS + threadIdx.x / 32;
    if (group < total) load(group);
    wait_for_previous();
    const SharedInput x = prepare_input<NORM, COLS, WARPS, wants_int8(T), !wants_int8(T)>(in, shared);

    for (; group < total; group += stride) {
        long long numbers[ROWS];
        float sums[ROWS] = {};
        rows_of_group(up, group, numbers);
        dots.add(sums, up.matrix, numbers, x, 0, [&] {
            if (group + stride < total) load(group + stride);
        });
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            const int row = group * ROWS + i;
            const float sum = warp_sum(sums[i]);
            if (lane == i && row < up.num_rows) h[row] = gelu(sum + element_or(up.bias, row, 0.0f));
        }
    }
}
