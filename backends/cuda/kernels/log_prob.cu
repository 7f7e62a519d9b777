// log_prob: natural logarithm of a given token's probability, for many rows of logits.
//
//   logits     [rows, vocab_size] float32, row-major, contiguous
//   token_ids  [rows]             each in [0, vocab_size)
//   out        [rows]             float32; NaN where a logit is NaN or +inf, or none is finite
//
// Letter: vocab_size, at most 2^18. Launch: grid (rows), block (1024), no dynamic shared memory.
// log p = score - highest - log(sum of exp(score - highest)); the sum is exact (token_weights.cuh).
#include "block_scan.cuh"
#include "pdl.cuh"
#include "token_weights.cuh"

__global__ void __launch_bounds__(BLOCK_THREADS)
log_prob(const float* logits, const int* token_ids, float* out, int vocab_size) {
    __shared__ unsigned long long partial[BLOCK_THREADS / 32];
    wait_for_previous();
    const float* row = logits + static_cast<long long>(blockIdx.x) * vocab_size;

    unsigned int highest_key = 0;
    for (int id = threadIdx.x; id < vocab_size; id += BLOCK_THREADS) highest_key = max(highest_key, order_key(row[id]));
    const float highest = score_of_key(static_cast<unsigned int>(block_max(highest_key, partial)));

    unsigned long long sum = 0;
    for (int id = threadIdx.x; id < vocab_size; id += BLOCK_THREADS) sum += in_units(exp_weight(row[id] - highest));
    sum = block_scan(sum, partial).total;

    if (threadIdx.x == 0) {
        const double score = static_cast<double>(row[token_ids[blockIdx.x]]) - highest;
        const float result = static_cast<float>(score - log(static_cast<double>(sum) / WEIGHT_UNITS));
        out[blockIdx.x] = isfinite(highest) ? result : __uint_as_float(0x7fc00000u);
    }
}
