// A chunk's way to its experts and back. Letters: T = tokens, H = hidden size, E = experts, A = active ones a token,
// P = T * A pairs (token, slot) with index token * A + slot, C = capacity of an expert's list, at least T.
//
//   chosen  [P]     the expert in each slot; a token's are all different
//   shares  [P]     of a token's slots in its result
//   counts  [E]     pairs of each expert
//   pairs   [E, C]  their indices, ascending
#include "pdl.cuh"
#include "reduce.cuh"

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;

// The pairs that chose an expert. Launch: grid (E), block THREADS.
__global__ void __launch_bounds__(THREADS)
list_pairs(const int* chosen, int num_pairs, int* counts, int* pairs, int capacity) {
    let_next_start();
    wait_for_previous();
    __shared__ int found[WARPS];
    const int expert = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int* own = pairs + static_cast<long long>(expert) * capacity;
    int count = 0;
    for (int first = 0; first < num_pairs; first += THREADS) {
        const int pair = first + threadIdx.x;
        const bool is_own = pair < num_pairs && chosen[pair] == expert;
        const unsigned own_lanes = __ballot_sync(ALL_LANES, is_own);
        if (lane == 0) found[warp] = __popc(own_lanes);
        __syncthreads();
        int place = count + __popc(own_lanes & ((1u << lane) - 1));
#pragma unroll
        for (int w = 0; w < WARPS; ++w) {
            if (w < warp) place += found[w];
            count += found[w];
        }
        if (is_own) own[place] = pair;
        __syncthreads();  // everyone has read `found`
    }
    if (threadIdx.x == 0) counts[expert] = count;
}

// x += sum over slots of share * y, in the slots' order; y is [P, H].
// Launch: grid (ceil(H / THREADS), T), block THREADS.
__global__ void __launch_bounds__(THREADS)
combine(const float* y, const float* shares, float* x, int hidden_size, int num_active) {
    let_next_start();
    wait_for_previous();
    const long long token = blockIdx.y;
    const int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= hidden_size) return;
    float sum = 0.0f;
    for (int slot = 0; slot < num_active; ++slot) {
        const long long pair = token * num_active + slot;
        sum = fmaf(shares[pair], y[pair * hidden_size + i], sum);
    }
    x[token * hidden_size + i] += sum;
}
