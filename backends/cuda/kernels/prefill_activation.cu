// swiglu_rows, clamped_swiglu_rows, gelu_rows: what a feed-forward does between its matrices.
// Letters: R = rows (tokens, or tokens times active experts), F = intermediate size.
//
//   gate_up  [R, 2F]        float32, gate then up; gelu_rows: up alone, [R, F]
//   y        [R, y_stride]  bfloat16, zero past column F
//
// Launch: grid (ceil(y_stride / THREADS), R), block THREADS. Any F.
#include "activations.cuh"
#include "half.cuh"
#include "pdl.cuh"

constexpr int THREADS = 256;

template <typename F>
__device__ void write_element(unsigned short* y, int y_stride, int size, F activation) {
    const int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= y_stride) return;
    y[static_cast<long long>(blockIdx.y) * y_stride + i] = float_to_bf16(i < size ? activation(i) : 0.0f);
}

__global__ void __launch_bounds__(THREADS)
swiglu_rows(const float* gate_up, unsigned short* y, int y_stride, int size) {
    let_next_start();
    wait_for_previous();
    const float* row = gate_up + static_cast<long long>(blockIdx.y) * 2 * size;
    write_element(y, y_stride, size, [=](int i) { return swiglu(row[i], row[size + i]); });
}

__global__ void __launch_bounds__(THREADS)
clamped_swiglu_rows(const float* gate_up, unsigned short* y, int y_stride, int size, float alpha,
                    float limit) {
    let_next_start();
    wait_for_previous();
    const float* row = gate_up + static_cast<long long>(blockIdx.y) * 2 * size;
    write_element(y, y_stride, size, [=](int i) { return clamped_swiglu(row[i], row[size + i], alpha, limit); });
}

__global__ void __launch_bounds__(THREADS)
gelu_rows(const float* up, unsigned short* y, int y_stride, int size) {
    let_next_start();
    wait_for_previous();
    const float* row = up + static_cast<long long>(blockIdx.y) * size;
    write_element(y, y_stride, size, [=](int i) { return gelu(row[i]); });
}
