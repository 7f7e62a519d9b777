// sample: chooses a sequence's next token from its logits, and moves the sequence on.
//
// The rules are those of domain/sampling.py: repetition penalty, then greedy; or top-k, softmax, top-p, min-p and
// the inverse of the cumulative distribution, in id order, at the draw of the sequence's step. In float32 where
// the reference has float64, in exact integers wherever weights are summed (token_weights.cuh).
//
// Letter: V = vocab_size, at most 2^18. Launch: grid (1 .. MAX_BLOCKS), the choice does not depend on it; block
// (1024), no dynamic shared memory. PLAIN and FILTERED need a cooperative launch, since their blocks wait for each
// other: PLAIN once, FILTERED once more for each radix digit. GREEDY waits for nobody.
#include "pdl.cuh"
#include "philox.cuh"
#include "radix_select.cuh"
#include "sequence_state.cuh"

enum Method {
    GREEDY,   // temperature 0
    PLAIN,    // no filter
    FILTERED  // any of top-k, top-p, min-p
};

constexpr int MAX_BLOCKS = 128;
constexpr int NO_TOKEN = -1;  // in the ring: the logits were not finite

// What the blocks tell each other. All but `block_sums` is 0 before and after every launch.
struct SampleScratch {
    unsigned long long best_rank;
    unsigned long long block_sums[MAX_BLOCKS];
    unsigned long long histograms[2][NUM_DIGITS][NUM_BINS];  // of top-k, of top-p
    unsigned int num_arrived;
};

struct SampleArgs {
    const float* logits;      // [V]
    unsigned char* seen;      // [V] 1 for ids generated before; read where there is a penalty
    SequenceState* state;
    int* ring;                // [ring_size] the token of step s at s % ring_size
    SampleScratch* scratch;
    int ring_size;
    int vocab_size;
};

// One thread of the last block.
__device__ void publish(const SampleArgs& args, int token) {
    SequenceState& state = *args.state;
    args.ring[state.step % args.ring_size] = token;
    if (token == NO_TOKEN) {
        state.failed = 1;
    } else {
        args.seen[token] = 1;
        state.token = token;
        state.position += 1;
        state.step += 1;
    }
    args.scratch->best_rank = 0;
    args.scratch->num_arrived = 0;
}

// The last block: the first token at which the running sum of the weights, in id order, exceeds the draw.
__device__ void publish_draw(const SampleArgs& args, const TokenWeights& weights, unsigned long long draw,
                             unsigned long long* partial) {
    __shared__ unsigned long long drawn_block, sum_before_block;
    const bool is_block = threadIdx.x < gridDim.x;
    const unsigned long long block_sum = is_block ? __ldcg(&args.scratch->block_sums[threadIdx.x]) : 0;
    const Scan blocks = block_scan(block_sum, partial);
    // floor(draw / 2^53 * total): an integer exceeds the product where it exceeds its floor
    const unsigned long long bound = __umul64hi(draw, blocks.total) << 11 | (draw * blocks.total) >> 53;
    const unsigned long long before_block = blocks.inclusive - block_sum;
    if (before_block <= bound && bound < blocks.inclusive) {  // in one thread
        drawn_block = threadIdx.x;
        sum_before_block = before_block;
    }
    __syncthreads();

    const Share share(static_cast<int>(drawn_block), args.vocab_size);
    const int ids_a_thread = (share.end - share.begin + BLOCK_THREADS - 1) / BLOCK_THREADS;
    const int begin = min(share.begin + static_cast<int>(threadIdx.x) * ids_a_thread, share.end);
    const int end = min(begin + ids_a_thread, share.end);
    unsigned long long sum = 0;
#pragma unroll 1
    for (int id = begin; id < end; ++id) sum += in_units(weights.weight(id));
    const unsigned long long after = sum_before_block + block_scan(sum, partial).inclusive;
    if (after - sum <= bound && bound < after) {  // in one thread
        unsigned long long cumulative = after - sum;
        int id = begin;
        while ((cumulative += in_units(weights.weight(id))) <= bound) ++id;
        publish(args, id);
    }
}

template <Method METHOD>
__global__ void __launch_bounds__(BLOCK_THREADS, 1) sample(const SampleArgs args) {
    __shared__ unsigned long long partial[BLOCK_THREADS / 32];
    __shared__ unsigned long long draw;
    SampleScratch& scratch = *args.scratch;
    wait_for_previous();

    // Every block sees the same: the last block changes the state after all have come.
    const SequenceState state = *args.state;
    if (state.failed || state.step >= state.num_steps) return;
    if (METHOD != GREEDY && threadIdx.x == BLOCK_THREADS - 1) draw = uniform_bits(state.seed, state.step);

    GridBarrier grid{&scratch.num_arrived};
    const Share share(blockIdx.x, args.vocab_size);
    const TokenScores scores{args.logits, args.seen, state.positive_factor, state.negative_factor};
    unsigned long long best_rank = 0;
#pragma unroll 1
    for (int id = share.begin + threadIdx.x; id < share.end; id += BLOCK_THREADS)
        best_rank = max(best_rank, rank_of(order_key(scores.score(id)), id));
    best_rank = block_max(best_rank, partial);
    if (threadIdx.x == 0) atomicMax(&scratch.best_rank, best_rank);

    if constexpr (METHOD == GREEDY) {
        if (!grid.arrives_last() || threadIdx.x != 0) return;
        best_rank = __ldcg(&scratch.best_rank);
        const bool is_finite = isfinite(score_of_key(static_cast<unsigned int>(best_rank >> ID_BITS)));
        publish(args, is_finite ? (1 << ID_BITS) - 1 - static_cast<int>(best_rank & ((1 << ID_BITS) - 1)) : NO_TOKEN);
    } else {
        grid.wait();
        const float highest = score_of_key(static_cast<unsigned int>(__ldcg(&scratch.best_rank) >> ID_BITS));
        if (!isfinite(highest)) {
            if (grid.arrives_last() && threadIdx.x == 0) publish(args, NO_TOKEN);
            return;
        }
        TokenWeights weights{scores, highest, state.inverse_temperature};
        if constexpr (METHOD == FILTERED) {
            if (0 < state.top_k && state.top_k < args.vocab_size) {
                const TopK list{scores, state.top_k};
                weights.least_score_rank = radix_select(list, share, scratch.histograms[0][0], grid, partial);
            }
            if (state.top_p < 1.0) {
                const TopP list{weights, state.top_p};
                weights.least_weight_rank = radix_select(list, share, scratch.histograms[1][0], grid, partial);
            }
            const unsigned int least_key = weight_key(__double2float_ru(state.min_p));
            weights.least_weight_rank =
                max(weights.least_weight_rank, static_cast<unsigned long long>(least_key) << ID_BITS);
        }
        unsigned long long sum = 0;
#pragma unroll 1
        for (int id = share.begin + threadIdx.x; id < share.end; id += BLOCK_THREADS)
            sum += in_units(weights.weight(id));
        sum = block_scan(sum, partial).total;
        if (threadIdx.x == 0) scratch.block_sums[blockIdx.x] = sum;
        if (!grid.arrives_last()) return;
        publish_draw(args, weights, draw, partial);
        if constexpr (METHOD == FILTERED) {
            unsigned long long* bins = scratch.histograms[0][0];
            for (int i = threadIdx.x; i < 2 * NUM_DIGITS * NUM_BINS; i += BLOCK_THREADS) bins[i] = 0;
        }
    }
}
