// Rows of a matrix of any type as float32, exact: dequantize consecutive ones, gather_rows those of given ids.
//
//   w    [rows, cols]
//   ids  [T] rows to take (gather_rows: token ids or positions); T lies in device memory
//   out  [num_rows or T, cols] float32
//
// Launch: grid (at least the rows taken), block (any number of threads), a thread every so many sub-blocks of the row.
#include "packed.cuh"
#include "pdl.cuh"

// Writes one row, or adds it to what is there.
template <Type T, bool ADDS>
__device__ __forceinline__ void take_row(const Matrix& w, long long row, float* out) {
    for (int block = threadIdx.x; block < (w.cols + 31) / 32; block += blockDim.x) {
        float values[32];
        load_block<T>(w, row, block, values);
        const long long first = 32LL * block;
#pragma unroll
        for (int i = 0; i < 32; ++i)
            if (first + i < w.cols) out[first + i] = ADDS ? out[first + i] + values[i] : values[i];
    }
}

template <Type T>
__global__ void __launch_bounds__(256) dequantize(Matrix w, long long first_row, float* out) {
    take_row<T, false>(w, first_row + blockIdx.x, out + blockIdx.x * w.cols);
}

// The embedding of tokens (ADDS = false); then of their positions, in models that add one (ADDS = true).
template <Type T, bool ADDS>
__global__ void __launch_bounds__(256) gather_rows(Matrix w, const int* ids, float* out, const int* num_taken) {
    let_next_start();
    if (static_cast<int>(blockIdx.x) >= *num_taken) return;
    wait_for_previous();  // it may still read `out`
    take_row<T, ADDS>(w, ids[blockIdx.x], out + blockIdx.x * w.cols);
}
