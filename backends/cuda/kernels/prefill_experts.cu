// A chunk's way to its experts and back. Letters: T = tokens (in device memory), H = hidden size, E = experts, A =
// active ones a token, P = T * A pairs (token, slot) with index token * A + slot.
//
//   chosen  [P]     the expert in each slot; a token's are all different
//   shares  [P]     of a token's slots in its result
//   lists           see expert_lists.cuh
#include "expert_lists.cuh"
#include "panels.cuh"
#include "pdl.cuh"

constexpr int THREADS = 256;
constexpr int ALIGNED_PAIRS = 8;  // a list begins at a multiple

// lists, and in their order sorted: the row of x of each pair's token. Every block counts for itself how many pairs chose
// each expert; that is sooner done than a kernel before this one.
// Launch: grid (at least P), block THREADS, dynamic shared memory 4 * E bytes.
__global__ void __launch_bounds__(THREADS)
sort_pairs(const Panels x, const Panels sorted, const int* chosen, const int* num_tokens, int num_active, int num_experts,
           ExpertLists lists) {
    let_next_start();
    const int num_pairs = *num_tokens * num_active, own = blockIdx.x;
    if (own >= num_pairs) return;
    wait_for_previous();
    extern __shared__ int counts[];  // of every expert
    __shared__ int place_in_list;
    for (int expert = threadIdx.x; expert < num_experts; expert += THREADS) counts[expert] = 0;
    if (threadIdx.x == 0) place_in_list = 0;
    __syncthreads();
    const int own_expert = chosen[own];
    for (int pair = threadIdx.x; pair < num_pairs; pair += THREADS) {
        const int expert = chosen[pair];
        atomicAdd(&counts[expert], 1);
        if (expert == own_expert && pair < own) atomicAdd(&place_in_list, 1);
    }
    __syncthreads();
    int start = 0;
    for (int expert = 0; expert < own_expert; ++expert)
        start += (counts[expert] + ALIGNED_PAIRS - 1) / ALIGNED_PAIRS * ALIGNED_PAIRS;
    const int row = start + place_in_list, token = own / num_active;
    if (threadIdx.x == 0) {
        lists.pairs[row] = own;
        lists.starts[own_expert] = start;  // the same from every pair of the expert
    }
    for (int expert = threadIdx.x; own == 0 && expert < num_experts; expert += THREADS)
        lists.counts[expert] = counts[expert];
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
