// Attention of one new position over a sequence's cache, with everything around it: the norm and rotation of the
// new query and key, and the write of the new key and value to the cache.
//
// Letters: N = num_kv_heads, G = query heads per KV head, D = head_dim, T = positions seen, the new one included.
// Grid: (N * ceil(G / HEADS), splits). A block serves HEADS query heads of one KV head over one split of the
// positions; the block that finishes last merges the splits, in their order, so the result never depends on timing.
// Source: Dao et al. 2023, "Flash-Decoding"; the online softmax of Milakov & Gimelshein 2018 (arXiv:1805.02867).
#include "half.cuh"
#include "pdl.cuh"
#include "reduce.cuh"
#include "vector.cuh"

constexpr int PAGE_TOKENS = 16;
constexpr int LEAST_KEYS = 64;       // of a split: below that a merge costs more than it saves
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
    float* out;               // [N * G * D]
};

// How many lanes share one key: each then holds VECTORS times 8 of its elements.
template <int D>
struct KeySplit {
    static constexpr int EIGHTS = D / 8;
    static constexpr int LANES = EIGHTS % 8 == 0 ? 8 : EIGHTS % 4 == 0 ? 4 : EIGHTS % 2 == 0 ? 2 : 1;
    static constexpr int VECTORS = EIGHTS / LANES;
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

// One warp: norm and turn a head in place in shared memory. `head` is [D].
template <int D>
__device__ void prepare_head(float* head, const AttentionArgs& args, const Vector& norm, float scale) {
    const int lane = threadIdx.x % 32;
    if (norm.data != nullptr) {
        float squares = 0.0f;
        for (int i = lane; i < D; i += 32) squares += head[i] * head[i];
        const float factor = 1.0f / sqrtf(warp_sum(squares) / D + args.norm_eps);
        for (int i = lane; i < D; i += 32) head[i] *= factor * element(norm, i);
        __syncwarp();
    }
    const int num_pairs = args.rotation == nullptr ? 0 : args.rotary_dim / 2;
    for (int pair = lane; pair < num_pairs; pair += 32) {
        const int i = args.is_adjacent ? 2 * pair : pair;
        const int j = args.is_adjacent ? 2 * pair + 1 : pair + num_pairs;
        const float2 turn = args.rotation[pair];
        const float a = head[i], b = head[j];
        head[i] = a * turn.x - b * turn.y;
        head[j] = a * turn.y + b * turn.x;
    }
    __syncwarp();
    for (int i = lane; i < D; i += 32) head[i] *= scale;
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

template <int D, int HEADS, int WARPS>
__global__ void __launch_bounds__(32 * WARPS) decode_attention(const AttentionArgs args) {
    using Split = KeySplit<D>;
    constexpr int LANES = Split::LANES, VECTORS = Split::VECTORS, SIZE = 8 * VECTORS;
    constexpr int KEYS_A_WARP = 32 / LANES;
    __shared__ float heads[HEADS + 2][D];  // the queries, the new key, the new value
    __shared__ alignas(16) unsigned short new_key[D], new_value[D];
    __shared__ float sums[WARPS][HEADS][D], maxima[WARPS][HEADS], totals[WARPS][HEADS];
    __shared__ bool is_last;

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int groups = (args.group_size + HEADS - 1) / HEADS;
    const int kv_head = blockIdx.x / groups, first_head = blockIdx.x % groups * HEADS;
    const int num_heads = min(HEADS, args.group_size - first_head);
    const int query_size = args.num_kv_heads * args.group_size * D, key_size = args.num_kv_heads * D;

    let_next_start();
    wait_for_previous();

    const int position = *args.position;
    const int first = args.window > 0 ? max(position + 1 - args.window, 0) : 0;
    const int count = position + 1 - first;
    const int keys_a_split = max((count + static_cast<int>(gridDim.y) - 1) / static_cast<int>(gridDim.y), LEAST_KEYS);
    const int num_splits = (count + keys_a_split - 1) / keys_a_split;
    if (static_cast<int>(blockIdx.y) >= num_splits) return;
    const int begin = first + static_cast<int>(blockIdx.y) * keys_a_split;
    const int end = min(begin + keys_a_split, position + 1);
    const bool has_new = end == position + 1;

    for (int i = warp; i < HEADS + 2; i += WARPS) {  // one warp a head
        const int query = (kv_head * args.group_size + first_head + i) * D;
        const int start = i < HEADS ? query : query_size + (i == HEADS ? 0 : key_size) + kv_head * D;
        const bool is_used = i >= HEADS || i < num_heads;
        for (int j = lane; j < D; j += 32) heads[i][j] = is_used ? __ldcg(args.qkv + start + j) : 0.0f;
        __syncwarp();
        if (i < HEADS) prepare_head<D>(heads[i], args, args.query_norm, rsqrtf(static_cast<float>(D)));
        if (i == HEADS) prepare_head<D>(heads[i], args, args.key_norm, 1.0f);
        __syncwarp();
        if (i >= HEADS)
            for (int j = lane; j < D; j += 32) (i == HEADS ? new_key : new_value)[j] = float_to_f16(heads[i][j]);
    }
    __syncthreads();

    const long long head_bytes = 2LL * PAGE_TOKENS * D;
    const long long value_bytes = args.num_kv_heads * head_bytes;
    unsigned char* cache = args.pool + args.layer_bytes + kv_head * head_bytes;
    if (has_new && first_head == 0) {
        unsigned char* page = cache + args.page_table[position / PAGE_TOKENS] * args.page_bytes;
        const int slot = position % PAGE_TOKENS * D;
        for (int j = threadIdx.x; j < D; j += 32 * WARPS) {
            reinterpret_cast<unsigned short*>(page)[slot + j] = new_key[j];
            reinterpret_cast<unsigned short*>(page + value_bytes)[slot + j] = new_value[j];
        }
    }

    const int lane_in_key = lane % LANES;
    float query[HEADS][SIZE];
#pragma unroll
    for (int h = 0; h < HEADS; ++h)
#pragma unroll
        for (int v = 0; v < VECTORS; ++v)
#pragma unroll
            for (int e = 0; e < 8; ++e) query[h][8 * v + e] = heads[h][8 * (v * LANES + lane_in_key) + e];

    Softmax<SIZE> softmax[HEADS];
    const int stride = WARPS * KEYS_A_WARP;
    for (int base = begin + warp * KEYS_A_WARP; base < end; base += stride) {  // the same for every lane of a warp
        const int key_position = base + lane / LANES;
        const bool is_seen = key_position < end;
        const int clamped = is_seen ? key_position : begin;
        const uint4* key = reinterpret_cast<const uint4*>(new_key);
        const uint4* value = reinterpret_cast<const uint4*>(new_value);
        if (clamped != position) {
            const unsigned char* page = cache + args.page_table[clamped / PAGE_TOKENS] * args.page_bytes;
            key = reinterpret_cast<const uint4*>(page + 2 * D * (clamped % PAGE_TOKENS));
            value = reinterpret_cast<const uint4*>(page + value_bytes + 2 * D * (clamped % PAGE_TOKENS));
        }
        uint4 key_bits[VECTORS], value_bits[VECTORS];
#pragma unroll
        for (int v = 0; v < VECTORS; ++v) {
            key_bits[v] = key[v * LANES + lane_in_key];
            value_bits[v] = value[v * LANES + lane_in_key];
        }
        float key_floats[SIZE], value_floats[SIZE];
#pragma unroll
        for (int v = 0; v < VECTORS; ++v) {
            eight_floats(key_bits[v], key_floats + 8 * v);
            eight_floats(value_bits[v], value_floats + 8 * v);
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
            for (int i = 0; i < SIZE; ++i) sums[warp][h][8 * (i / 8 * LANES + lane) + i % 8] = softmax[h].sums[i];
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
        args.out[head * D + d] = sum * kept / (total * kept + (args.sinks.data != nullptr ? __expf(sink - limit) : 0.0f));
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
        args.out[head * D + d] = sum / total;
    }
}
