// Maxima and running sums of 64-bit integers over a block of 1024 threads: exact, so the order cannot matter.
#pragma once
#include "reduce.cuh"

constexpr int BLOCK_THREADS = 1024;  // 32 warps, so one value a warp is one value a lane

struct Scan {
    unsigned long long inclusive;  // sum over this thread and those before it
    unsigned long long total;
};

__device__ inline unsigned long long warp_max(unsigned long long value) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) value = max(value, __shfl_xor_sync(ALL_LANES, value, offset));
    return value;
}

__device__ inline unsigned long long warp_inclusive_scan(unsigned long long value) {
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
        const unsigned long long before = __shfl_up_sync(ALL_LANES, value, offset);
        if (threadIdx.x % 32 >= offset) value += before;
    }
    return value;
}

// `partial` holds one value a warp; the block is synchronised twice.
__device__ inline unsigned long long block_max(unsigned long long value, unsigned long long* partial) {
    value = warp_max(value);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    value = warp_max(partial[threadIdx.x % 32]);
    __syncthreads();
    return value;
}

// `partial` holds one value a warp; the block is synchronised twice.
__device__ inline Scan block_scan(unsigned long long value, unsigned long long* partial) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const unsigned long long in_warp = warp_inclusive_scan(value);
    if (lane == 31) partial[warp] = in_warp;
    __syncthreads();
    const unsigned long long warps = warp_inclusive_scan(partial[lane]);
    const unsigned long long before = __shfl_sync(ALL_LANES, warps, max(warp - 1, 0));
    __syncthreads();
    return {in_warp + (warp > 0 ? before : 0), __shfl_sync(ALL_LANES, warps, 31)};
}
