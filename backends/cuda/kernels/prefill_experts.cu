// A chunk's way to its experts and back. Letters: T = tokens (in device memory), H = hidden size, E = experts, A =
// active ones a token, P = T * A pairs (token, slot) with index token * A + slot.
//
//   chosen  [P]     the expert in each slot; a token's are all different
//   shares  [P]     of a token's slots in its result
//   lists           see expert_lists.cuh
#include "expert_lists.cuh"
#include "panels.cuh"
#include "pdl.cuh"
#include "reduce.cuh"

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;
constexpr int ALIGNED_PAIRS = 8;  // a list begins at a multiple

// The pairs that chose an expert, ascending. Launch: grid (E), block THREADS, dynamic shared memory 4 * E bytes.
__global__ void __launch_bounds__(THREADS)
list_pairs(const int* chosen, const int* num_tokens, int num_active, ExpertLists lists) {
    let_next_start();
    const int num_pairs = *num_tokens * num_active;
    wait_for_previous();
    extern __shared__ int counts[];  // of every expert
    __shared__ int found[WARPS];
    const int expert = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int i = threadIdx.x; i < static_cast<int>(gridDim.x); i += THREADS) counts[i] = 0;
    __syncthreads();
    for (int pair = threadIdx.x; pair < num_pairs; pair += THREADS) atomicAdd(&counts[chosen[pair]], 1);
    __syncthreads();
    int place = 0;
    for (int i = 0; i < expert; ++i) place += (counts[i] + ALIGNED_PAIRS - 1) / ALIGNED_PAIRS * ALIGNED_PAIRS;
    if (threadIdx.x == 0) {
        lists.counts[expert] = counts[expert];
        lists.starts[expert] = place;
    }
    for (int first = 0; first < num_pairs; first += THREADS) {
        const int pair = first + threadIdx.x;
        const bool is_own = pair < num_pairs && chosen[pair] == expert;
        const unsigned own_lanes = __ballot_sync(ALL_LANES, is_own);
        if (lane == 0) found[warp] = __popc(own_lanes);
        __syncthreads();
        int own = place + __popc(own_lanes & ((1u << lane) - 1));
#pragma unroll
        for (int w = 0; w < WARPS; ++w) {
            if (w < warp) own += found[w];
            place += found[w];
        }
        if (is_own) {
            lists.pairs[own] = pair;
            lists.rows[pair] = own;
        }
        __syncthreads();  // everyone has read `found`
    }
}

// sorted: the rows of x, once for each pair, in the lists' order. Launch: grid (at least P), block THREADS.
__global__ void __launch_bounds__(THREADS)
sort_rows(const Panels x, const Panels sorted, const int* num_tokens, int num_active, ExpertLists lists) {
    let_next_start();
    const int pair = blockIdx.x;
    if (pair >= *num_tokens * num_active) return;
    wait_for_previous();
    const int token = pair / num_active, row = lists.rows[pair];
    for (int chunk = threadIdx.x; chunk < x.num_chunks(); chunk += THREADS) *sorted.chunk(row, chunk) = *x.chunk(token, chunk);
}

// x += sum over slots of share * y, in the slots' order; y is [P, H].
// Launch: grid (ceil(H / THREADS), at least T), block THREADS.
__global__ void __launch_bounds__(THREADS)
combine(const float* y, const float* shares, float* x, int hidden_size, int num_active, const int* num_tokens) {
    let_next_start();
    if (static_cast<int>(blockIdx.y) >= *num_tokens) return;
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
