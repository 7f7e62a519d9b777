// read_all: read every word once, as fast as memory gives them, and keep what shows that they were read.
//
//   words  [num_words] 16 bytes each, aligned; any number
//   sink   [1]         written only when the words' exclusive or is one value in 2^32
//
// Launch: any grid (x), any block (x), no dynamic shared memory. UNROLL loads are on their way per thread at a time.
template <int UNROLL>
__global__ void read_all(const uint4* __restrict__ words, long long num_words, unsigned int* sink)
{
    const long long stride = (long long)gridDim.x * blockDim.x;
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    unsigned int bits = 0;
    for (; i + (UNROLL - 1) * stride < num_words; i += UNROLL * stride) {
        uint4 loaded[UNROLL];
#pragma unroll
        for (int u = 0; u < UNROLL; u++) loaded[u] = __ldcs(words + i + u * stride);
#pragma unroll
        for (int u = 0; u < UNROLL; u++) bits ^= loaded[u].x ^ loaded[u].y ^ loaded[u].z ^ loaded[u].w;
    }
    for (; i < num_words; i += stride) {
        const uint4 loaded = __ldcs(words + i);
        bits ^= loaded.x ^ loaded.y ^ loaded.z ^ loaded.w;
    }
    if (bits == 0x9e3779b9u) *sink = bits;
}
