// The inside of a feed-forward: h = silu(gate @ norm(x)) * (up @ norm(x)), or h = gelu(up @ norm(x) + bias).
// Letters: K = columns, F = intermediate_size. A warp takes the same rows of gate and up. Where h is multiplied
// with quantized weights next, it is written as int8 blocks: a block of threads then makes 32 of its elements at
// a time.
#include "activations.cuh"
#include "inside_store.cuh"
#include "matvec.cuh"
#include "pdl.cuh"

template <Source SOURCE, int COLS, Type A, Type B, int ROWS, bool AS_INT8, int WARPS>
__global__ void __launch_bounds__(32 * WARPS, 1) decode_swiglu(const Input in, const Rows gate, const Rows up, void* h) {
    extern __shared__ __align__(16) char shared[];
    __shared__ float buffer[2][ROWS * WARPS];
    InsideStore<AS_INT8, ROWS, WARPS> inside{buffer};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int total = (gate.num_rows + ROWS - 1) / ROWS, stride = gridDim.x * WARPS;
    PairDots<A, B, COLS, ROWS> dots;
    const auto load = [&](int group) {  // one past the end repeats the last row
        long long numbers[ROWS];
        rows_of_group(gate, group, numbers);
        dots.load(gate.matrix, up.matrix, numbers);
    };

    let_next_start();
    int base = blockIdx.x * WARPS;
    if (base < total) load(base + warp);
    constexpr bool INT8 = wants_int8(A) || wants_int8(B), DENSE = !wants_int8(A) || !wants_int8(B);
    const InputMaker<SOURCE, COLS, WARPS, INT8, DENSE> input(in);
    wait_for_previous();
    const SharedInput x = input.prepare(shared);

    for (; base < total; base += stride) {  // the same for all warps of a block
        const int group = base + warp;
        long long numbers[ROWS];
        float gates[ROWS] = {}, ups[ROWS] = {};
        rows_of_group(gate, group, numbers);
        dots.add(gates, ups, gate.matrix, up.matrix, numbers, x, [&] {
            if (base + stride < total) load(group + stride);
        });
        float value = 0.0f;
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            const float g = warp_sum(gates[i]), u = warp_sum(ups[i]);
            const int row = min(group * ROWS + i, gate.num_rows - 1);
            if (lane == i) value = swiglu(g + element_or(gate.bias, row, 0.0f), u + element_or(up.bias, row, 0.0f));
        }
        inside.store(value, group * ROWS, gate.num_rows, h);
    }
}

template <Source SOURCE, int COLS, Type T, int ROWS, bool AS_INT8, int WARPS>
__global__ void __launch_bounds__(32 * WARPS, 1) decode_gelu(const Input in, const Rows up, void* h) {
    extern __shared__ __align__(16) char shared[];
    __shared__ float buffer[2][ROWS * WARPS];
    InsideStore<AS_INT8, ROWS, WARPS> inside{buffer};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int total = (up.num_rows + ROWS - 1) / ROWS, stride = gridDim.x * WARPS;
    RowDots<T, COLS, ROWS> dots;
    const auto load = [&](int group) {
        long long numbers[ROWS];
        rows_of_group(up, group, numbers);
        dots.load(up.matrix, numbers, 0);
    };

    let_next_start();
    int base = blockIdx.x * WARPS;
    if (base < total) load(base + warp);
    const InputMaker<SOURCE, COLS, WARPS, wants_int8(T), !wants_int8(T)> input(in);
    wait_for_previous();
    const SharedInput x = input.prepare(shared);

    for (; base < total; base += stride) {
        const int group = base + warp;
        long long numbers[ROWS];
        float sums[ROWS] = {}, value = 0.0f;
        rows_of_group(up, group, numbers);
        dots.add(sums, up.matrix, numbers, x, 0, [&] {
            if (base + stride < total) load(group + stride);
        });
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            const float sum = warp_sum(sums[i]);
            const int row = min(group * ROWS + i, up.num_rows - 1);
            if (lane == i) value = gelu(sum + element_or(up.bias, row, 0.0f));
        }
        inside.store(value, group * ROWS, up.num_rows, h);
    }
}
