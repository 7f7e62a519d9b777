// The draws of the first steps: out[seed][step]. Launch: grid (num_seeds), block (num_steps).
#include "philox.cuh"

__global__ void philox_draws(const unsigned long long* seeds, unsigned long long* out) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = uniform_bits(seeds[blockIdx.x], threadIdx.x);
}
