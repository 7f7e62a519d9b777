// route: the experts of each token, chosen in float32 throughout: the choice hangs on small differences.
// Letters: T = tokens, H = hidden size, E = experts, A = active ones a token.
//
//   x       [T, H]  float32
//   router  [E, H]  packed, of type `TYPE`; bias [E] or none
//   chosen  [T, A]  the expert in each slot, the highest logit first; of equal logits the lower expert
//   shares  [T, A]  softmax over a token's chosen experts
//
// T lies in device memory. Launch: grid (at least ceil(T / ROUTED_TOKENS)), block THREADS, dynamic shared memory 4 * ROUTED_TOKENS * (E + A) bytes.
#include "packed.cuh"
#include "pdl.cuh"
#include "reduce.cuh"
#include "vector.cuh"

constexpr int THREADS = 1024;
constexpr int WARPS = THREADS / 32;
constexpr int ROUTED_TOKENS = 2;  // of a block, which read the router's weights once

// sums[t] += this lane's part of the products of one expert's weights and each of the block's tokens.
template <Type TYPE>
__device__ void add_products(float (&sums)[ROUTED_TOKENS], const Matrix& router, int expert,
                             const float* const (&x)[ROUTED_TOKENS]) {
    const int lane = threadIdx.x % 32, hidden_size = static_cast<int>(router.cols);
    const auto add = [&](float weight, int i) {
#pragma unroll
        for (int t = 0; t < ROUTED_TOKENS; ++t) sums[t] = fmaf(weight, x[t][i], sums[t]);
    };
    if (TYPE == F32 && hidden_size % 4 == 0) {  // four at a time, so that there are more under way
        const auto fours = [](const void* floats, long long at) { return static_cast<const float4*>(floats)[at]; };
#pragma unroll 2
        for (int i = lane; i < hidden_size / 4; i += 32) {
            const float4 weight = fours(router.quants, expert * (router.cols / 4) + i);
#pragma unroll
            for (int t = 0; t < ROUTED_TOKENS; ++t) {
                const float4 own = fours(x[t], i);
                sums[t] = fmaf(weight.x, own.x, fmaf(weight.y, own.y, fmaf(weight.z, own.z, fmaf(weight.w, own.w, sums[t]))));
            }
        }
    } else if constexpr (is_dense(TYPE)) {
#pragma unroll 4
        for (int i = lane; i < hidden_size; i += 32)
            add(load_element<TYPE>(router.quants, expert * router.cols + i), i);
    } else {
        for (int block = lane; block < hidden_size / 32; block += 32) {
            float weights[32];
            load_block<TYPE>(router, expert, block, weights);
#pragma unroll
            for (int i = 0; i < 32; ++i) add(weights[i], block * 32 + i);
        }
    }
}

// Into L2 what the blocks will read; each block some. Weights may be read before the kernel before this one is done.
template <Type TYPE>
__device__ void prefetch(const Matrix& router, int num_experts) {
    if constexpr (!is_dense(TYPE)) return;  // several planes, and an eighth of the bytes
    constexpr int LINE_BYTES = 128, ELEMENT_BYTES = TYPE == F32 ? 4 : 2;
    const int num_lines = static_cast<int>(num_experts * router.cols * ELEMENT_BYTES / LINE_BYTES);
    for (int line = blockIdx.x * THREADS + threadIdx.x; line < num_lines; line += gridDim.x * THREADS)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(router.quants + static_cast<long long>(line) * LINE_BYTES));
}

// How many experts go before `expert`. No logit is NaN, so no two ranks are equal.
__device__ int rank_of(const float* logits, int num_experts, int expert) {
    int rank = 0;
    for (int other = 0; other < num_experts; ++other)
        rank += logits[other] > logits[expert] || (logits[other] == logits[expert] && other < expert);
    return rank;
}

template <Type TYPE>
__global__ void __launch_bounds__(THREADS)
route(const float* x, Matrix router, Vector bias, int* chosen, float* shares, const int* chunk_tokens,
      int num_experts, int num_active) {
    let_next_start();
    const int num_tokens = *chunk_tokens;
    if (static_cast<int>(blockIdx.x) * ROUTED_TOKENS >= num_tokens) return;
    prefetch<TYPE>(router, num_experts);
    wait_for_previous();
    extern __shared__ float logits[];  // [ROUTED_TOKENS, E], then the chosen ones, [ROUTED_TOKENS, A]
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first_token = blockIdx.x * ROUTED_TOKENS;
    const float* rows[ROUTED_TOKENS];
#pragma unroll
    for (int t = 0; t < ROUTED_TOKENS; ++t) rows[t] = x + min(first_token + t, num_tokens - 1) * router.cols;
    for (int expert = warp; expert < num_experts; expert += WARPS) {
        float sums[ROUTED_TOKENS] = {};
        add_products<TYPE>(sums, router, expert, rows);
#pragma unroll
        for (int t = 0; t < ROUTED_TOKENS; ++t) {
            const float logit = warp_sum(sums[t]) + element_or(bias, expert, 0.0f);
            // A NaN would share its rank with others.
            if (lane == 0) logits[t * num_experts + expert] = logit == logit ? logit : __int_as_float(0xff800000);
        }
    }
    __syncthreads();

    const int token = first_token + warp;
    if (warp >= ROUTED_TOKENS || token >= num_tokens) return;
    const float* own = logits + warp * num_experts;
    float* best = logits + ROUTED_TOKENS * num_experts + warp * num_active;
    for (int expert = lane; expert < num_experts; expert += 32) {
        const int slot = rank_of(own, num_experts, expert);
        if (slot >= num_active) continue;
        best[slot] = own[expert];
        chosen[token * num_active + slot] = expert;
    }
    __syncwarp();
    float total = 0.0f;
    for (int slot = 0; slot < num_active; ++slot) total += expf(best[slot] - best[0]);
    for (int slot = lane; slot < num_active; slot += 32)
        shares[token * num_active + slot] = expf(best[slot] - best[0]) / total;
}

