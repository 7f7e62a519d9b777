// rms_norm, layer_norm: one row a block. Letters: T = tokens, H = hidden size.
//
//   x        [T, H]   float32
//   weight   [H]      also `bias`
//   y        panels (panels.cuh) of H columns
//   y_exact  [T, H]   float32, the same before rounding; null where nobody reads it
//
// Launch: grid (at least T, which lies in device memory), block THREADS, no dynamic shared memory. Any H. The variance
// of layer_norm is a second pass.
// Source: Zhang & Sennrich 2019, eq. 4 (arXiv:1910.07467); Ba et al. 2016 (arXiv:1607.06450).
#include "half.cuh"
#include "panels.cuh"
#include "pdl.cuh"
#include "reduce.cuh"
#include "vector.cuh"

constexpr int THREADS = 512;

// Sum of f(x[i]) over a row, the same order for every row.
template <typename F>
__device__ float row_sum(const float* x, int hidden_size, float* partial, F f) {
    float sum = 0.0f;
#pragma unroll 8
    for (int i = threadIdx.x; i < hidden_size; i += THREADS) sum += f(x[i]);
    return block_sum<THREADS / 32>(sum, partial);
}

template <typename F>
__device__ void write_row(const Panels& y, int token, float* y_exact, F normed) {
    for (int chunk = threadIdx.x; chunk < y.num_chunks(); chunk += THREADS)
        store_chunk(y, token, chunk, [&](int i) {
            const float value = normed(i);
            if (y_exact != nullptr) y_exact[i] = value;
            return value;
        });
}

__global__ void __launch_bounds__(THREADS)
rms_norm(const float* x, Vector weight, float eps, Panels y, float* y_exact, const int* num_tokens) {
    let_next_start();
    if (static_cast<int>(blockIdx.x) >= *num_tokens) return;
    const int hidden_size = y.num_columns;
    prefetch(weight, hidden_size);
    wait_for_previous();
    __shared__ float partial[THREADS / 32];
    const long long token = blockIdx.x;
    const float* row = x + token * hidden_size;
    const float squares = row_sum(row, hidden_size, partial, [](float v) { return v * v; });
    const float scale = 1.0f / sqrtf(squares / hidden_size + eps);
    write_row(y, token, y_exact == nullptr ? nullptr : y_exact + token * hidden_size,
              [&](int i) { return row[i] * scale * element(weight, i); });
}

__global__ void __launch_bounds__(THREADS)
layer_norm(const float* x, Vector weight, Vector bias, float eps, Panels y, float* y_exact, const int* num_tokens) {
    let_next_start();
    if (static_cast<int>(blockIdx.x) >= *num_tokens) return;
    const int hidden_size = y.num_columns;
    prefetch(weight, hidden_size);
    prefetch(bias, hidden_size);
    wait_for_previous();
    __shared__ float partial[THREADS / 32];
    const long long token = blockIdx.x;
    const float* row = x + token * hidden_size;
    const float mean = row_sum(row, hidden_size, partial, [](float v) { return v; }) / hidden_size;
    const float squares = row_sum(row, hidden_size, partial, [=](float v) { return (v - mean) * (v - mean); });
    const float scale = 1.0f / sqrtf(squares / hidden_size + eps);
    write_row(y, token, y_exact == nullptr ? nullptr : y_exact + token * hidden_size,
              [&](int i) { return (row[i] - mean) * scale * element(weight, i) + element(bias, i); });
}
