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

// What belongs to a chunk of a row: y = weight * normalized + bias.
struct Scaling {
    float weight[CHUNK], bias[CHUNK];

    __device__ void load(const Vector& weights, const Vector& biases, const Panels& y, int chunk) {
        if (chunk >= y.num_chunks()) return;
#pragma unroll
        for (int i = 0; i < CHUNK; ++i) {
            const int column = min(Panels::column_of(chunk, i / 2) + i % 2, y.num_columns - 1);
            weight[i] = element(weights, column);
            bias[i] = element_or(biases, column, 0.0f);
        }
    }
};

// Args: scaling: of this thread's first chunk.
template <typename F>
__device__ void write_row(const Panels& y, int token, float* y_exact, Scaling scaling, const Vector& weights,
                          const Vector& biases, F normalized) {
    for (int chunk = threadIdx.x; chunk < y.num_chunks(); chunk += THREADS) {
        if (chunk >= THREADS) scaling.load(weights, biases, y, chunk);
        store_chunk(y, token, chunk, [&](int i, int column) {
            const float value = normalized(column) * scaling.weight[i] + scaling.bias[i];
            if (y_exact != nullptr) y_exact[column] = value;
            return value;
        });
    }
}

__global__ void __launch_bounds__(THREADS)
rms_norm(const float* x, Vector weight, float eps, Panels y, float* y_exact, const int* num_tokens) {
    let_next_start();
    if (static_cast<int>(blockIdx.x) >= *num_tokens) return;
    const Vector no_bias = {};
    Scaling scaling;
    scaling.load(weight, no_bias, y, threadIdx.x);
    wait_for_previous();
    __shared__ float partial[THREADS / 32];
    const long long token = blockIdx.x;
    const int hidden_size = y.num_columns;
    const float* row = x + token * hidden_size;
    const float squares = row_sum(row, hidden_size, partial, [](float v) { return v * v; });
    const float scale = 1.0f / sqrtf(squares / hidden_size + eps);
    write_row(y, token, y_exact == nullptr ? nullptr : y_exact + token * hidden_size, scaling, weight, no_bias,
              [&](int i) { return row[i] * scale; });
}

__global__ void __launch_bounds__(THREADS)
layer_norm(const float* x, Vector weight, Vector bias, float eps, Panels y, float* y_exact, const int* num_tokens) {
    let_next_start();
    if (static_cast<int>(blockIdx.x) >= *num_tokens) return;
    Scaling scaling;
    scaling.load(weight, bias, y, threadIdx.x);
    wait_for_previous();
    __shared__ float partial[THREADS / 32];
    const long long token = blockIdx.x;
    const int hidden_size = y.num_columns;
    const float* row = x + token * hidden_size;
    const float mean = row_sum(row, hidden_size, partial, [](float v) { return v; }) / hidden_size;
    const float squares = row_sum(row, hidden_size, partial, [=](float v) { return (v - mean) * (v - mean); });
    const float scale = 1.0f / sqrtf(squares / hidden_size + eps);
    write_row(y, token, y_exact == nullptr ? nullptr : y_exact + token * hidden_size, scaling, weight, bias,
              [&](int i) { return (row[i] - mean) * scale; });
}
