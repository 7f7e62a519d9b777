// Attention of one new position over a sequence's cache, with everything around it: the norm and rotation of the
// new query and key, and the write of the new key and value to the cache.
//
// Letters: N = num_kv_heads, G = query heads per KV head, D = head_dim, T = positions seen, the new one included.
// Grid: (N * ceil(G / HEADS), splits). A block serves HEADS query heads of one KV head over one split of the
// positions; the block that finishes last merges the splits, in their order, so the result never depends on timing.
// Source: Dao et al. 2023, "Flash-Decoding"; the online softmax of Milakov & Gimelshein 2018 (arXiv:1805.02867).
#include "half.cuh"
#include "int8_output.cuh"
#include "pdl.cuh"
#include "reduce.cuh"
#include "vector.cuh"

constexpr int PAGE_TOKENS = 16;
constexpr int LEAST_KEYS = 128;      // of a split: below that a merge costs more than it saves
constexpr float NO_SCORE = -1e30f;  // of no position: finite, so that differences of two are 0

struct AttentionArgs {
    const float* qkv;         // [N * G * D + 2 * N * D]: queries, keys, values
    const int* position;      // of the new token: T - 1
    const int* page_table;    // page of positions 16i .. 16i + 15
    unsigned char* pool;
    long long page_bytes;
    long long layer_bytes;    // where this layer's keys lie in a page; its values follow
    const float2* rotation;   // [rotary_dim / 2] cosine and sine at this position; null: nothing turns
    int rotary_dim;
    int is_adjacent;          // pairs (2i, 2i + 1), else (i, i + rotary_dim / 2)
    Vector query_norm;        // [D] or null
    Vector key_norm;          // [D] or null
    float norm_eps;
    Vector sinks;             // [N * G] or null
    int window;               // 0: none
    int num_kv_heads;
    int group_size;           // G
    float* partial;           // [gridDim.x][splits][HEADS][D + 2]: sums, maximum, sum of weights
    int* num_arrived;         // [gridDim.x], 0 before and after
    void* out;                // [N * G * D] float, or int8 blocks
};

// How many lanes share one key: each then holds up to VECTORS times 8 of its elements.
template <int D>
struct KeySplit {
    static constexpr int EIGHTS = D / 8;
    static constexpr int LANES = EIGHTS == 1 ? 1 : EIGHTS == 2 ? 2 : EIGHTS <= 4 ? 4 : EIGHTS <= 16 ? 8 : 16;
    static constexpr int VECTORS = (EIGHTS + LANES - 1) / LANES;

    // Whether vector `vector` of lane `lane_in_key` lies in the head.
    __device__ static bool has(int vector, int lane_in_key) { return vector * LANES + lane_in_key < EIGHTS; }
};

__device__ inline void eight_floats(const uint4& bits, float* out) {
    const unsigned int words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float2 pair = f16x2_to_floats(words[i]);
        out[2 * i] = pair.x;
        out[2 * i + 1] = pair.y;
    }
}

// One warp: a head from global to shared memory, normed, turned and scaled on the way. `head` is [D].
// A lane holds pairs of elements, those that turn together first; everything is loaded at once.
template <int D>
__device__ void prepare_head(const float* from, float* head, const AttentionArgs& args, const Vector& norm, float scale) {
    constexpr int PAIRS = D / 2, PASSES = (PAIRS + 31) / 32;
    const int lane = threadIdx.x % 32, num_turned = args.rotation == nullptr ? 0 : args.rotary_dim / 2;
    float a[PASSES], b[PASSES];
    float2 turn[PASSES];
    int at_a[PASSES], at_b[PASSES];
    float squares = 0.0f;
#pragma unroll
    for (int pass = 0; pass < PASSES; ++pass) {
        const int pair = lane + 32 * pass;
        const bool is_apart = pair < num_turned && !args.is_adjacent;  // (i, i + rotary_dim / 2)
        at_a[pass] = is_apart ? pair : 2 * pair;
        at_b[pass] = is_apart ? pair + num_turned : 2 * pair + 1;
        a[pass] = pair < PAIRS ? __ldcg(from + at_a[pass]) : 0.0f;
        b[pass] = pair < PAIRS ? __ldcg(from + at_b[pass]) : 0.0f;
        turn[pass] = pair < num_turned ? __ldcg(args.rotation + pair) : make_float2(1.0f, 0.0f);
        squares += a[pass] * a[pass] + b[pass] * b[pass];
    }
    const float factor = norm.data == nullptr ? 1.0f : 1.0f / sqrtf(warp_sum(squares) / D + args.norm_eps);
#pragma unroll
    for (int pass = 0; pass < PASSES; ++pass) {
        if (lane + 32 * pass >= PAIRS) continue;
        const float x = a[pass] * factor * element_or(norm, at_a[pass], 1.0f);
        const float y = b[pass] * factor * element_or(norm, at_b[pass], 1.0f);
        head[at_a[pass]] = (x * turn[pass].x - y * turn[pass].y) * scale;
        head[at_b[pass]] = (x * turn[pass].y + y * turn[pass].x) * scale;
    }
}

// Running softmax of one query head: weights are exp(score - maximum).
template <int SIZE>
struct Softmax {
    float maximum = NO_SCORE;
    float total = 0.0f;
    float sums[SIZE] = {};

    __device__ void add(float score, const float (&value)[SIZE]) {
        const float top = fmaxf(maximum, score);
        const float kept = __expf(maximum - top), weight = __expf(score - top);
        maximum = top;
        total = total * kept + weight;
#pragma unroll
        for (int i = 0; i < SIZE; ++i) sums[i] = sums[i] * kept + weight * value[i];
    }

    // Take in what the lane `offset` away has. Both get the same, whichever is which.
    __device__ void merge_lane(int offset) {
        const float other = __shfl_xor_sync(ALL_LANES, maximum, offset);
        const float top = fmaxf(maximum, other);
        const float kept = __expf(maximum - top), taken = __expf(other - top);
        maximum = top;
        total = total * kept + __shfl_xor_sync(ALL_LANES, total, offset) * taken;
#pragma unroll
        for (int i = 0; i < SIZE; ++i)
            sums[i] = sums[i] * kept + __shfl_xor_sync(ALL_LANES, sums[i], offset) * taken;
    }
};

// Element `index` of the output. As int8 the 32 lanes of a warp bring a block's elements together.
template <bool AS_INT8>
__device__ inline void store_mixed(const AttentionArgs& args, int index, int size, float value) {
    if constexpr (AS_INT8) store_int8_block(int8_blocks(args.out, size / 32), index / 32, value);
    else static_cast<float*>(args.out)[index] = value;
}

// Where the page of a position begins in the pool. What changes from step to step is read past the L1 cache,
// which nobody promises to be emptied for a kernel that starts before the one before it has ended.
__device__ inline long long page_of(const AttentionArgs& args, int position) {
    return __ldcg(args.page_table + position / PAGE_TOKENS) * args.page_bytes;
}

// Keys and values of one position: what a lane holds of them, as they are stored.
template <int VECTORS>
struct KeyValue {
    uint4 key[VECTORS], value[VECTORS];
};

template <int D, int HEADS, bool AS_INT8, int WARPS>
__global__ void __launch_bounds__(32 * WARPS, 1) decode_attention(const AttentionArgs args) {
    static_assert(!AS_INT8 || D % 32 == 0, "a head must be whole int8 blocks");
    using Split = KeySplit<D>;
    constexpr int LANES = Split::LANES, VECTORS = Split::VECTORS, SIZE = 8 * VECTORS;
    constexpr int KEYS_A_WARP = 32 / LANES;
    __shared__ float heads[HEADS + 1][D];  // the queries, the new key
    __shared__ alignas(16) unsigned short new_key[D], new_value[D];
    __shared__ float sums[WARPS][HEADS][D], maxima[WARPS][HEADS], totals[WARPS][HEADS];
    __shared__ bool is_last;

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int groups = (args.group_size + HEADS - 1) / HEADS;
    const int kv_head = blockIdx.x / groups, first_head = blockIdx.x % groups * HEADS;
    const int num_heads = min(HEADS, args.group_size - first_head);
    const int query_size = args.num_kv_heads * args.group_size * D, key_size = args.num_kv_heads * D;

    let_next_start();
    // The position, the page table and the cache before it were written before this step's first kernel began:
    // they need no waiting. The new query, key and value do.
    const int position = __ldcg(args.position);
    const int first = args.window > 0 ? max(position + 1 - args.window, 0) : 0;
    const int count = position + 1 - first;
    const int keys_a_split = max((count + static_cast<int>(gridDim.y) - 1) / static_cast<int>(gridDim.y), LEAST_KEYS);
    const int num_splits = (count + keys_a_split - 1) / keys_a_split;
    if (static_cast<int>(blockIdx.y) >= num_splits) return;
    const int begin = first + static_cast<int>(blockIdx.y) * keys_a_split;
    const int end = min(begin + keys_a_split, position + 1);
    const bool has_new = end == position + 1;

    const long long head_bytes = 2LL * PAGE_TOKENS * D;
    const long long value_bytes = args.num_kv_heads * head_bytes;
    unsigned char* cache = args.pool + args.layer_bytes + kv_head * head_bytes;
    const int lane_in_key = lane % LANES;
    // What a lane needs of position base + lane / LANES; of the new one nothing yet.
    const auto load = [&](int base) {
        KeyValue<VECTORS> loaded{};
        const int at = base + lane / LANES;
        if (at >= end || at == position) return loaded;
        const unsigned char* page = cache + page_of(args, at) + 2 * D * (at % PAGE_TOKENS);
#pragma unroll
        for (int v = 0; v < VECTORS; ++v) {
            if (!Split::has(v, lane_in_key)) continue;
            loaded.key[v] = __ldcg(reinterpret_cast<const uint4*>(page) + v * LANES + lane_in_key);
            loaded.value[v] = __ldcg(reinterpret_cast<const uint4*>(page + value_bytes) + v * LANES + lane_in_key);
        }
        return loaded;
    };
    const int stride = WARPS * KEYS_A_WARP;
    int base = begin + warp * KEYS_A_WARP;  // the same for every lane of a warp
    KeyValue<VECTORS> ahead = load(base);
    wait_for_previous();

    for (int i = warp; i < HEADS + 2; i += WARPS) {  // one warp a head
        if (i < HEADS) {
            const int head = kv_head * args.group_size + min(first_head + i, args.group_size - 1);  // or the last again
            prepare_head<D>(args.qkv + head * D, heads[i], args, args.query_norm, rsqrtf(static_cast<float>(D)));
        } else if (i == HEADS) {
            prepare_head<D>(args.qkv + query_size + kv_head * D, heads[i], args, args.key_norm, 1.0f);
            __syncwarp();
            for (int j = lane; j < D; j += 32) new_key[j] = float_to_f16(heads[i][j]);
        } else {
            const float* value = args.qkv + query_size + key_size + kv_head * D;
            for (int j = lane; j < D; j += 32) new_value[j] = float_to_f16(__ldcg(value + j));
        }
    }
    __syncthreads();

    if (has_new && first_head == 0) {
        unsigned char* page = cache + page_of(args, position);
        const int slot = position % PAGE_TOKENS * D;
        for (int j = threadIdx.x; j < D; j += 32 * WARPS) {
            reinterpret_cast<unsigned short*>(page)[slot + j] = new_key[j];
            reinterpret_cast<unsigned short*>(page + value_bytes)[slot + j] = new_value[j];
        }
    }

    float query[HEADS][SIZE];
#pragma unroll
    for (int h = 0; h < HEADS; ++h)
#pragma unroll
        for (int v = 0; v < VECTORS; ++v)
#pragma unroll
            for (int e = 0; e < 8; ++e)
                query[h][8 * v + e] = Split::has(v, lane_in_key) ? heads[h][8 * (v * LANES + lane_in_key) + e] : 0.0f;

    Softmax<SIZE> softmax[HEADS];
    for (; base < end; base += stride) {
        KeyValue<VECTORS> now = ahead;
        if (base + stride < end) ahead = load(base + stride);
        const int key_position = base + lane / LANES;
        const bool is_seen = key_position < end;
        if (key_position == position)
#pragma unroll
            for (int v = 0; v < VECTORS; ++v) {
                if (!Split::has(v, lane_in_key)) continue;
                now.key[v] = reinterpret_cast<const uint4*>(new_key)[v * LANES + lane_in_key];
                now.value[v] = reinterpret_cast<const uint4*>(new_value)[v * LANES + lane_in_key];
            }
        float key_floats[SIZE], value_floats[SIZE];
#pragma unroll
        for (int v = 0; v < VECTORS; ++v) {
            eight_floats(now.key[v], key_floats + 8 * v);
            eight_floats(now.value[v], value_floats + 8 * v);
        }
#pragma unroll
        for (int h = 0; h < HEADS; ++h) {
            float score = 0.0f;
#pragma unroll
            for (int i = 0; i < SIZE; ++i) score = fmaf(query[h][i], key_floats[i], score);
            score = warp_sum<LANES>(score);
            if (is_seen) softmax[h].add(score, value_floats);
        }
    }

#pragma unroll
    for (int h = 0; h < HEADS; ++h) {
#pragma unroll
        for (int offset = LANES; offset < 32; offset *= 2) softmax[h].merge_lane(offset);
        if (lane < LANES) {
#pragma unroll
            for (int i = 0; i < SIZE; ++i)
                if (Split::has(i / 8, lane)) sums[warp][h][8 * (i / 8 * LANES + lane) + i % 8] = softmax[h].sums[i];
            maxima[warp][h] = softmax[h].maximum;
            totals[warp][h] = softmax[h].total;
        }
    }
    __syncthreads();

    float* mine = args.partial + (static_cast<long long>(blockIdx.x) * gridDim.y + blockIdx.y) * HEADS * (D + 2);
    for (int i = threadIdx.x; i < HEADS * D; i += 32 * WARPS) {  // merge the warps
        const int h = i / D, d = i % D;
        float top = NO_SCORE, total = 0.0f, sum = 0.0f;
#pragma unroll
        for (int w = 0; w < WARPS; ++w) top = fmaxf(top, maxima[w][h]);
#pragma unroll
        for (int w = 0; w < WARPS; ++w) {
            const float kept = __expf(maxima[w][h] - top);
            total += totals[w][h] * kept;
            sum += sums[w][h][d] * kept;
        }
        if (num_splits > 1) {
            __stcg(mine + h * (D + 2) + d, sum);
            if (d == 0) {
                __stcg(mine + h * (D + 2) + D, top);
                __stcg(mine + h * (D + 2) + D + 1, total);
            }
            continue;
        }
        if (h >= num_heads) continue;
        const int head = kv_head * args.group_size + first_head + h;
        const float sink = element_or(args.sinks, head, NO_SCORE);
        const float limit = fmaxf(top, sink), kept = __expf(top - limit);
        const float shared_with_sink = total * kept + (args.sinks.data != nullptr ? __expf(sink - limit) : 0.0f);
        store_mixed<AS_INT8>(args, head * D + d, query_size, sum * kept / shared_with_sink);
    }
    if (num_splits == 1) return;

    __threadfence();  // what this block wrote is seen before its arrival is
    __syncthreads();
    if (threadIdx.x == 0) is_last = atomicAdd(args.num_arrived + blockIdx.x, 1) == num_splits - 1;
    __syncthreads();
    if (!is_last) return;
    __threadfence();
    if (threadIdx.x == 0) args.num_arrived[blockIdx.x] = 0;
    const float* splits = args.partial + static_cast<long long>(blockIdx.x) * gridDim.y * HEADS * (D + 2);
    for (int i = threadIdx.x; i < num_heads * D; i += 32 * WARPS) {
        const int h = i / D, d = i % D;
        const int head = kv_head * args.group_size + first_head + h;
        const float sink = element_or(args.sinks, head, NO_SCORE);
        float top = sink, total = 0.0f, sum = 0.0f;
        for (int s = 0; s < num_splits; ++s) top = fmaxf(top, __ldcg(splits + (s * HEADS + h) * (D + 2) + D));
        for (int s = 0; s < num_splits; ++s) {
            const float* split = splits + (s * HEADS + h) * (D + 2);
            const float kept = __expf(__ldcg(split + D) - top);
            total += __ldcg(split + D + 1) * kept;
            sum += __ldcg(split + d) * kept;
        }
        if (args.sinks.data != nullptr) total += __expf(sink - top);
        store_mixed<AS_INT8>(args, head * D + d, query_size, sum / total);
    }
}
