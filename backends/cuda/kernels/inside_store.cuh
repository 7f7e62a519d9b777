// How the inside of a feed-forward is written: as floats, or as the int8 blocks that the next product reads.
#pragma once
#include "int8_output.cuh"

// Collects what the warps of a block make. One of these a kernel; `store` is called by all threads together.
template <bool AS_INT8, int ROWS, int WARPS>
struct InsideStore {
    static_assert(!AS_INT8 || ROWS * WARPS == 32, "a block of threads must make whole int8 blocks");
    float (&buffer)[2][ROWS * WARPS];
    int turn = 0;

    // Lane i < ROWS of a warp brings element first + i, `first` being ROWS * (the warp's group).
    __device__ void store(float value, int first, int size, void* h) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        if constexpr (AS_INT8) {
            if (lane < ROWS) buffer[turn][warp * ROWS + lane] = value;
            __syncthreads();
            const int block = (first - warp * ROWS) / 32;
            if (warp == 0 && 32 * block < size) store_int8_block(int8_blocks(h, size / 32), block, buffer[turn][lane]);
            turn ^= 1;  // the next turn's values do not wait for this store
        } else if (lane < ROWS && first + lane < size) {
            static_cast<float*>(h)[first + lane] = value;
        }
    }
};
