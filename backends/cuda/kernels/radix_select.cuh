// Where to cut a list of tokens that nobody sorts: the rank of the last token of the shortest prefix, by falling
// rank, whose weights reach a target. Digit by digit from the top: the grid sums the weights of each value of the
// digit, and the value at which the running sum reaches the target is the digit of the cut.
// Source: Alabi et al. 2012, "Fast k-selection algorithms for graphics processing units" (radix select).
#pragma once
#include "block_scan.cuh"
#include "grid_barrier.cuh"
#include "token_weights.cuh"

constexpr int DIGIT_BITS = 10;
constexpr int NUM_BINS = 1 << DIGIT_BITS;
constexpr int NUM_DIGITS = (32 + ID_BITS) / DIGIT_BITS;
static_assert(NUM_BINS == BLOCK_THREADS, "a thread holds a bin");
static_assert(NUM_DIGITS * DIGIT_BITS == 32 + ID_BITS, "the digits make up a rank");

struct RankedWeight {
    unsigned long long rank;
    unsigned long long weight;  // 0: not on the list
};

// The k highest scores: each token on the list counts 1.
struct TopK {
    const TokenScores& scores;
    int top_k;

    __device__ RankedWeight operator()(int id) const { return {rank_of(order_key(scores.score(id)), id), 1}; }
    __device__ unsigned long long target(unsigned long long) const { return top_k; }
    __device__ unsigned long long least_weight(unsigned long long) const { return 1; }
};

// The heaviest tokens that make up `top_p` of the whole weight, and at least one.
struct TopP {
    const TokenWeights& weights;
    double top_p;

    __device__ RankedWeight operator()(int id) const {
        const float weight = weights.weight(id);
        return {rank_of(weight_key(weight), id), in_units(weight)};
    }
    __device__ unsigned long long target(unsigned long long total) const {
        const unsigned long long share = __double2ull_ru(top_p * __ull2double_rn(total));
        return min(max(share, 1ull), total);
    }
    __device__ unsigned long long least_weight(unsigned long long rank) const { return in_units(weight_of_rank(rank)); }
};

// 64-bit sums in halves: shared memory adds 32-bit integers in hardware, 64-bit ones in a loop.
struct Bins {
    unsigned int low[NUM_BINS];
    unsigned int high[NUM_BINS];

    __device__ void add(int bin, unsigned long long weight) {
        const unsigned int low_part = static_cast<unsigned int>(weight);
        const unsigned int before = atomicAdd(&low[bin], low_part);
        const unsigned int carry = before + low_part < before;
        const unsigned int high_part = static_cast<unsigned int>(weight >> 32) + carry;
        if (high_part != 0) atomicAdd(&high[bin], high_part);
    }

    __device__ unsigned long long take(int bin) {
        const unsigned long long sum = static_cast<unsigned long long>(high[bin]) << 32 | low[bin];
        low[bin] = high[bin] = 0;
        return sum;
    }
};

// The tokens that a block looks after, a run of ids: [begin, end), empty for the last blocks of a small vocabulary.
struct Share {
    int begin;
    int end;

    __device__ Share(int block, int vocab_size) {
        const int size = (vocab_size + gridDim.x - 1) / gridDim.x;
        begin = min(block * size, vocab_size);
        end = min(begin + size, vocab_size);
    }
};

// Every block returns the same rank. `histograms` is [NUM_DIGITS][NUM_BINS] in global memory, all 0; the caller
// sets it back. The total weight of the list must not be 0. Early end: a bin that cannot spare even its lightest
// token is kept whole.
template <class List>
__device__ unsigned long long radix_select(const List& list, const Share& share, unsigned long long* histograms,
                                           GridBarrier& grid, unsigned long long* partial) {
    __shared__ Bins bins;
    __shared__ unsigned long long cut_bin, cut_before, cut_sum;
    const int bin = NUM_BINS - 1 - threadIdx.x;  // so that a scan over the threads runs from the highest rank down
    unsigned long long cut = 0, target = 0;

    bins.take(bin);
    for (int digit = 0, shift = (NUM_DIGITS - 1) * DIGIT_BITS;; ++digit, shift -= DIGIT_BITS) {
        __syncthreads();
#pragma unroll 1  // a thread has few ids: unrolled, the code would grow and the loop not shrink
        for (int id = share.begin + threadIdx.x; id < share.end; id += BLOCK_THREADS) {
            const RankedWeight token = list(id);
            const unsigned long long value = (token.rank ^ cut) >> shift;  // NUM_BINS or more: a higher digit differs
            if (token.weight != 0 && value < NUM_BINS) bins.add(static_cast<int>(value), token.weight);
        }
        __syncthreads();
        unsigned long long* histogram = histograms + digit * NUM_BINS;
        const unsigned long long of_block = bins.take(bin);
        if (of_block != 0) atomicAdd(&histogram[bin], of_block);
        grid.wait();

        const unsigned long long sum = __ldcg(&histogram[bin]);
        const Scan scan = block_scan(sum, partial);
        if (digit == 0) target = list.target(scan.total);
        const unsigned long long before = scan.inclusive - sum;
        if (before < target && target <= scan.inclusive) {  // in one thread
            cut_bin = bin;
            cut_before = before;
            cut_sum = sum;
        }
        __syncthreads();
        cut |= cut_bin << shift;
        target -= cut_before;
        if (digit == NUM_DIGITS - 1 || cut_sum - list.least_weight(cut) < target) return cut;
    }
}
