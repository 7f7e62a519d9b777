// For tests: what the matrix kernels do with one sub-block, by itself.
#include "packed.cuh"

// x [32 * num_blocks] to int8 blocks. Launch: grid (warps), block (32); lanes past the end repeat the last block.
__global__ void quantize_blocks(const float* x, int num_blocks, void* planes) {
    const int thread = blockIdx.x * 32 + threadIdx.x;
    const int block = min(thread / 4, num_blocks - 1);
    const int quarter = thread % 4;
    float values[8];
    for (int i = 0; i < 8; ++i) values[i] = x[32 * block + 8 * quarter + i];
    quantize_int8_block(int8_blocks(planes, num_blocks), block, quarter, values);
}

// out [rows, nb]: the dot product of every sub-block with the activations of its columns. Launch: grid (rows).
template <Type T>
__global__ void dot_blocks(Matrix w, void* planes, float* out) {
    const int num_blocks = (int)(w.cols / 32);
    const Int8Blocks x = int8_blocks(planes, num_blocks);
    for (int block = threadIdx.x; block < num_blocks; block += blockDim.x)
        out[blockIdx.x * num_blocks + block] = dot_block<T>(w, blockIdx.x, block, load_int8_block(x, block));
}
