// Attention of one new position over a sequence's cache, with everything around it: the norm and rotation of the
// new query and key, and the write of the new key and value to the cache.
//
// Letters: N = num_kv_heads, G = query heads per KV head, D = head_dim.
// Grid: (N * ceil(G / HEADS), splits). A block serves HEADS query heads of one KV head over one split of the pages;
// the block that finishes last merges the splits, in their order, so the result never depends on timing.
//
// A warp takes a page of 16 positions at a time, as matrix products of 16 rows. Eight rows are the query heads in
// float16, the other eight what float16 lost of them, and so for the weights of the values: as exact as float32, at
// no cost. Pages come through shared memory, STAGES of them a warp, and start before the new query is there.
// Source: Dao et al. 2023, "Flash-Decoding"; the online softmax of Milakov & Gimelshein 2018 (arXiv:1805.02867).
#include "attention_args.cuh"
#include "half.cuh"
#include "int8_blocks.cuh"
#include "new_head.cuh"
#include "page_slot.cuh"
#include "pdl.cuh"
#include "reduce.cuh"
#include "tensor_core.cuh"
#include "vector.cuh"

constexpr int MOST_HEADS = 8;        // half the rows of a product
constexpr float NO_SCORE = -1e30f;   // of no position: finite, so that differences of two are 0

// Two neighbours, and what float16 loses of them.
struct SplitPair {
    unsigned value, rest;
};

__device__ inline SplitPair split_pair(float first, float second) {
    const unsigned value = floats_to_f16x2(first, second);
    const float2 kept = f16x2_to_floats(value);
    return {value, floats_to_f16x2(first - kept.x, second - kept.y)};
}

__device__ inline void add_scaled(float4& total, const float4& value, float scale) {
    total.x = fmaf(value.x, scale, total.x);
    total.y = fmaf(value.y, scale, total.y);
    total.z = fmaf(value.z, scale, total.z);
    total.w = fmaf(value.w, scale, total.w);
}

// Four neighbouring elements of one head, out of up to MOST splits: all of them loaded at once.
template <int MOST>
struct SplitSums {
    float4 values[MOST];

    __device__ void load(const float* splits, int stride, int num_splits) {
#pragma unroll
        for (int s = 0; s < MOST; ++s)
            if (s < num_splits) values[s] = __ldcg(reinterpret_cast<const float4*>(splits + s * stride));
    }

    __device__ void add_to(float4& total, const float* weights, int num_splits) const {
#pragma unroll
        for (int s = 0; s < MOST; ++s)
            if (s < num_splits) add_scaled(total, values[s], weights[s]);
    }
};

// Running softmax of the heads of a warp: weights are exp(score - maximum). With g = lane / 4 and t = lane % 4 a lane
// has elements 8n + 2t and on of head g, and of the part of the weights that float16 lost.
template <int STEPS>
struct Softmax {
    float maximum = NO_SCORE;
    float total = 0.0f;  // of the lane's positions
    float sums[2 * STEPS][4] = {};

    // Scores of the new positions become weights, and what is there already is scaled for them.
    __device__ void weigh(float (&scores)[4], const bool (&is_seen)[4]) {
        float top = maximum;
#pragma unroll
        for (int i = 0; i < 4; ++i) top = fmaxf(top, is_seen[i] ? scores[i] : NO_SCORE);
        top = warp_max<4>(top);
        const float kept = __expf(maximum - top);
        maximum = top;
        total *= kept;
#pragma unroll
        for (int n = 0; n < 2 * STEPS; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) sums[n][i] *= kept;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            scores[i] = is_seen[i] ? __expf(scores[i] - top) : 0.0f;
            total += scores[i];
        }
    }
};

// `size` elements from element `first` of the output on, `out_size` in all. All threads call it.
template <bool AS_INT8, int THREADS>
__device__ inline void store_heads(void* out, const float* values, int first, int size, int out_size) {
    for (int base = 0; base < size; base += 8 * THREADS) {
        const int i = base + 8 * static_cast<int>(threadIdx.x);
        const unsigned mask = __ballot_sync(ALL_LANES, i < size);  // a block of 32 is inside or not as a whole
        if (i >= size) continue;
        const float4 low = *reinterpret_cast<const float4*>(values + i), high = *reinterpret_cast<const float4*>(values + i + 4);
        if constexpr (AS_INT8) {
            const float eight[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
            quantize_int8_block(int8_blocks(out, out_size / 32), (first + i) / 32, threadIdx.x % 4, eight, mask);
        } else {
            float4* to = reinterpret_cast<float4*>(static_cast<float*>(out) + first + i);
            to[0] = low;
            to[1] = high;
        }
    }
}

// SPLITS is the most there can be, gridDim.y.
template <int D, int HEADS, bool AS_INT8, int WARPS, int SPLITS, int STAGES>
__global__ void __launch_bounds__(32 * WARPS, 1) decode_attention(const AttentionArgs args) {
    static_assert(D % 8 == 0 && HEADS <= MOST_HEADS && SPLITS <= 32);
    static_assert(!AS_INT8 || D % 32 == 0, "a head must be whole int8 blocks");
    using Slot = PageSlot<D>;
    using Head = NewHead<D>;
    constexpr int THREADS = 32 * WARPS, ROW = Slot::ROW, STEPS = Slot::STEPS;
    constexpr int LEAST_PAGES = WARPS;      // of one of several splits
    constexpr int WHOLE_PAGES = 2 * WARPS;  // up to here there is one split: a merge costs more than it saves
    constexpr int HEADS_A_WARP = (HEADS + 2 + WARPS - 1) / WARPS;  // of the queries, the new key and the new value
    constexpr int QUARTERS = D / 4, NUM_QUARTERS = HEADS * QUARTERS;
    constexpr int SPLIT_FLOATS = HEADS * (D + 4);
    extern __shared__ __align__(16) char slots[];  // [WARPS][STAGES] page slots
    __shared__ alignas(16) unsigned short queries[2 * MOST_HEADS][ROW];  // those of no head are never read back
    __shared__ alignas(16) unsigned short new_key[D], new_value[D];
    __shared__ alignas(16) float mixed[HEADS][D];
    __shared__ float maxima[WARPS][HEADS], totals[WARPS][HEADS];
    __shared__ float split_weights[HEADS][SPLITS];
    __shared__ bool is_last;

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int groups = (args.group_size + HEADS - 1) / HEADS;
    const int kv_head = blockIdx.x / groups, first_in_group = blockIdx.x % groups * HEADS;
    const int num_heads = min(HEADS, args.group_size - first_in_group);
    const int first_head = kv_head * args.group_size + first_in_group;
    const int query_size = args.num_kv_heads * args.group_size * D, key_size = args.num_kv_heads * D;

    let_next_start();
    // The position, the page table and the cache before it were written before this step's first kernel began:
    // they need no waiting. The new query, key and value do.
    const int position = __ldcg(args.position);
    const int first = args.window > 0 ? max(position + 1 - args.window, 0) : 0;
    const int first_page = first / PAGE_TOKENS, last_page = position / PAGE_TOKENS, num_pages = last_page + 1 - first_page;
    const int even_share = (num_pages + static_cast<int>(gridDim.y) - 1) / static_cast<int>(gridDim.y);
    const int pages_a_split = num_pages <= WHOLE_PAGES ? WHOLE_PAGES : max(even_share, LEAST_PAGES);
    const int num_splits = (num_pages + pages_a_split - 1) / pages_a_split;
    if (static_cast<int>(blockIdx.y) >= num_splits) {
        wait_for_previous();  // were they gone at once, blocks of the kernels to come would crowd those that compute
        return;
    }
    const int begin = first_page + static_cast<int>(blockIdx.y) * pages_a_split;
    const int end = min(begin + pages_a_split, last_page + 1);

    const long long head_bytes = 2LL * PAGE_TOKENS * D;
    const long long value_bytes = args.num_kv_heads * head_bytes;
    unsigned char* cache = args.pool + args.layer_bytes + kv_head * head_bytes;
    char* const own = slots + warp * (STAGES * Slot::BYTES);
    // Every page is two groups of copies, past the end empty ones: what is waited for is a count of groups.
    const auto copy_plane = [&](char* plane, const unsigned char* from, int page) {
        if (page < end) Slot::copy(plane, from, page, first, position - 1);
        commit_copies();
    };
    const auto start_of = [&](int page) { return page < end ? page_start(args, page) : 0; };

    long long starts[STAGES];
#pragma unroll
    for (int stage = 0; stage < STAGES; ++stage) starts[stage] = start_of(begin + warp + stage * WARPS);
    if (D % 16 != 0 && lane < PAGE_TOKENS) {  // the last step's other half of the keys: products with 0 are to be 0
#pragma unroll
        for (int stage = 0; stage < STAGES; ++stage)
            *reinterpret_cast<uint4*>(own + stage * Slot::BYTES + 2 * (ROW * lane + D)) = uint4{};
    }
#pragma unroll
    for (int stage = 0; stage < STAGES; ++stage) {
        char* slot = own + stage * Slot::BYTES;
        const unsigned char* from = cache + starts[stage];
        copy_plane(slot, from, begin + warp + stage * WARPS);
        copy_plane(slot + Slot::PLANE_BYTES, from + value_bytes, begin + warp + stage * WARPS);
    }

    // The heads of this warp, of HEADS queries, the key and the value.
    Head heads[HEADS_A_WARP];
#pragma unroll
    for (int i = 0; i < HEADS_A_WARP; ++i) {
        const int number = warp + i * WARPS;
        const bool is_query = number < HEADS, is_key = number == HEADS;
        const Vector norm{is_query ? args.query_norm.data : is_key ? args.key_norm.data : nullptr,
                          is_query ? args.query_norm.type : args.key_norm.type};
        heads[i].prepare(args, norm, is_query || is_key);
    }
    if (D % 16 != 0 && threadIdx.x < 2 * MOST_HEADS) *reinterpret_cast<uint4*>(&queries[threadIdx.x][D]) = uint4{};
    wait_for_previous();
#pragma unroll
    for (int i = 0; i < HEADS_A_WARP; ++i) {
        const int number = warp + i * WARPS;
        const int query = (first_head + min(number, num_heads - 1)) * D;  // or the last again
        const int key = query_size + kv_head * D, value = key + key_size;
        heads[i].load(args.qkv + (number < HEADS ? query : number == HEADS ? key : value), args.rotation);
    }
#pragma unroll
    for (int i = 0; i < HEADS_A_WARP; ++i) {
        const int number = warp + i * WARPS;
        const float scale = number < HEADS ? rsqrtf(static_cast<float>(D)) : 1.0f;
        unsigned short* to = number < HEADS ? queries[number] : number == HEADS ? new_key : new_value;
        heads[i].finish(args.norm_eps, scale, [&](int at, float x) {
            const unsigned short half = float_to_f16(x);
            if (number < HEADS + 2) to[at] = half;
            if (number < HEADS) queries[MOST_HEADS + number][at] = float_to_f16(x - f16_to_float(half));
        });
    }
    __syncthreads();

    if (end == last_page + 1 && first_in_group == 0) {
        unsigned char* page = cache + page_start(args, last_page);
        const int at = position % PAGE_TOKENS * D;
        for (int i = threadIdx.x; i < D; i += THREADS) {
            reinterpret_cast<unsigned short*>(page)[at + i] = new_key[i];
            reinterpret_cast<unsigned short*>(page + value_bytes)[at + i] = new_value[i];
        }
    }
    // The copies of a plane are seen by all lanes, and what they left out of the new position's page is put there.
    const auto complete = [&](char* plane, const unsigned short* new_row, int page) {
        wait_for_copies<2 * STAGES - 1>();
        __syncwarp();
        if (page != last_page) return;
        uint4* row = reinterpret_cast<uint4*>(plane + 2 * ROW * (position % PAGE_TOKENS));
        if (lane < D / 8) row[lane] = reinterpret_cast<const uint4*>(new_row)[lane];
        __syncwarp();
    };

    Softmax<STEPS> softmax;
    const int lane_a = Slot::template lane_bytes<false>(), lane_b = Slot::template lane_bytes<true>();
    int stage = 0;
#pragma unroll 1
    for (int page = begin + warp; page < end; page += WARPS) {
        const int next = page + STAGES * WARPS;
        const unsigned char* from = cache + start_of(next);
        char* keys = own + stage * Slot::BYTES;
        char* values = keys + Slot::PLANE_BYTES;

        complete(keys, new_key, page);
        float products[2][4] = {};
#pragma unroll
        for (int step = 0; step < STEPS; ++step) {
            unsigned a[4], b[4];
            load_matrices(a, reinterpret_cast<const char*>(queries) + lane_a + 32 * step);
            load_matrices(b, keys + lane_b + 32 * step);
            mma_half(products[0], a, b[0], b[1]);
            mma_half(products[1], a, b[2], b[3]);
        }
        __syncwarp();
        copy_plane(keys, from, next);

        float scores[4];
        bool is_seen[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int at = PAGE_TOKENS * page + 8 * (i / 2) + lane % 4 * 2 + i % 2;
            scores[i] = products[i / 2][i % 2] + products[i / 2][2 + i % 2];
            is_seen[i] = first <= at && at <= position;
        }
        softmax.weigh(scores, is_seen);
        const SplitPair lower = split_pair(scores[0], scores[1]), upper = split_pair(scores[2], scores[3]);
        const unsigned weights[4] = {lower.value, lower.rest, upper.value, upper.rest};

        complete(values, new_value, page);
#pragma unroll
        for (int step = 0; step < STEPS; ++step) {
            unsigned b[4];
            load_matrices_transposed(b, values + lane_a + 32 * step);
            mma_half(softmax.sums[2 * step], weights, b[0], b[1]);
            mma_half(softmax.sums[2 * step + 1], weights, b[2], b[3]);
        }
        __syncwarp();
        copy_plane(values, from + value_bytes, next);
        stage = stage + 1 == STAGES ? 0 : stage + 1;
    }

    // Into the warp's own slots, where nothing is read or under way any more.
    static_assert(4 * HEADS * ROW <= Slot::BYTES);
    const int head_of_lane = lane / 4;
    const float total_of_lane = warp_sum<4>(softmax.total);
    if (head_of_lane < HEADS) {
        float* sums = reinterpret_cast<float*>(own) + head_of_lane * ROW + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < 2 * STEPS; ++n)
            *reinterpret_cast<float2*>(sums + 8 * n) =
                make_float2(softmax.sums[n][0] + softmax.sums[n][2], softmax.sums[n][1] + softmax.sums[n][3]);
        if (lane % 4 == 0) {
            maxima[warp][head_of_lane] = softmax.maximum;
            totals[warp][head_of_lane] = total_of_lane;
        }
    }
    __syncthreads();

    // Merge the warps. A thread takes four neighbouring elements of a head.
    float* mine = args.partial + (static_cast<long long>(blockIdx.x) * gridDim.y + blockIdx.y) * SPLIT_FLOATS;
    for (int i = threadIdx.x; i < NUM_QUARTERS; i += THREADS) {
        const int h = i / QUARTERS, d = 4 * (i % QUARTERS);
        float top = NO_SCORE, total = 0.0f;
        float4 sum{};
#pragma unroll
        for (int w = 0; w < WARPS; ++w) top = fmaxf(top, maxima[w][h]);
#pragma unroll
        for (int w = 0; w < WARPS; ++w) {
            const float kept = __expf(maxima[w][h] - top);
            total += totals[w][h] * kept;
            const char* of_warp = slots + w * (STAGES * Slot::BYTES);
            add_scaled(sum, *reinterpret_cast<const float4*>(of_warp + 4 * (h * ROW + d)), kept);
        }
        if (num_splits > 1) {
            __stcg(reinterpret_cast<float4*>(mine + h * (D + 4) + d), sum);
            if (d == 0) __stcg(reinterpret_cast<float4*>(mine + h * (D + 4) + D), make_float4(top, total, 0.0f, 0.0f));
        } else {
            const float sink = element_or(args.sinks, first_head + min(h, num_heads - 1), NO_SCORE);
            const float limit = fmaxf(top, sink), kept = __expf(top - limit);
            const float with_sink = total * kept + (args.sinks.data != nullptr ? __expf(sink - limit) : 0.0f);
            float4 out{};
            add_scaled(out, sum, kept / with_sink);
            *reinterpret_cast<float4*>(&mixed[h][d]) = out;
        }
    }
    __syncthreads();

    if (num_splits > 1) {
        if (threadIdx.x == 0) {
            __threadfence();  // what this block wrote is seen before its arrival is
            is_last = atomicAdd(args.num_arrived + blockIdx.x, 1) == num_splits - 1;
            __threadfence();
        }
        __syncthreads();
        if (!is_last) return;
        if (threadIdx.x == 0) args.num_arrived[blockIdx.x] = 0;
        const float* splits = args.partial + static_cast<long long>(blockIdx.x) * gridDim.y * SPLIT_FLOATS;
        const auto quarter_at = [&](int i) { return splits + i / QUARTERS * (D + 4) + 4 * (i % QUARTERS); };
        constexpr int BATCH = SPLITS < 16 ? SPLITS : 16;  // more would take registers that the next kernel's blocks need
        SplitSums<BATCH> of_splits;  // under way while the weights of the splits are computed
        if (threadIdx.x < NUM_QUARTERS) of_splits.load(quarter_at(threadIdx.x), SPLIT_FLOATS, num_splits);
        for (int h = warp; h < num_heads; h += WARPS) {  // one warp a head, a lane a split
            const float sink = element_or(args.sinks, first_head + h, NO_SCORE);
            float2 of_split = make_float2(NO_SCORE, 0.0f);
            if (lane < num_splits)
                of_split = __ldcg(reinterpret_cast<const float2*>(splits + lane * SPLIT_FLOATS + h * (D + 4) + D));
            const float top = fmaxf(sink, warp_max(of_split.x)), weight = __expf(of_split.x - top);
            const float all = warp_sum(of_split.y * weight) + (args.sinks.data != nullptr ? __expf(sink - top) : 0.0f);
            if (lane < SPLITS) split_weights[h][lane] = weight / all;
        }
        __syncthreads();
#pragma unroll 1
        for (int i = threadIdx.x; i < NUM_QUARTERS; i += THREADS) {
            const int h = i / QUARTERS;
            float4 total{};
#pragma unroll 1
            for (int done = 0; done < num_splits; done += BATCH) {
                if (i >= THREADS || done > 0) of_splits.load(quarter_at(i) + done * SPLIT_FLOATS, SPLIT_FLOATS, num_splits - done);
                of_splits.add_to(total, split_weights[h] + done, num_splits - done);
            }
            *reinterpret_cast<float4*>(&mixed[h][4 * (i % QUARTERS)]) = total;
        }
        __syncthreads();
    }
    store_heads<AS_INT8, THREADS>(args.out, mixed[0], first_head * D, num_heads * D, query_size);
}
