// attention: causal attention of a chunk's queries over all positions up to their own, the chunk's included.
// Letters: T = tokens, N = num_heads, D = head_dim.
//
//   queries  [T, N, D]       float16, scaled by 1/sqrt(D); query head h reads KV head h / (N / num_kv_heads)
//   positions [T]            consecutive; the first is read, so that one graph serves all places
//   pages                    keys and values of all positions up to the last of those
//   sinks    [N]             one more logit in a head's softmax, of no position; or none
//   y                        panels (panels.cuh) of N * D columns
//   chunk_tokens             T, in device memory
//
// Launch: grid (at least ceil(T / QUERIES), N), block THREADS, dynamic shared memory shared_bytes (below). D: multiples of 8
// up to 256. `window` 0: none, else a position sees that many at most, itself included.
//
// A warp holds 16 queries; all walk over KEYS positions at a time, which start at multiples of KEYS: what a query
// sees does not depend on the chunk's bounds. A tile that a query sees nothing of changes nothing of its, to the
// bit, so neither do the queries that share its block.
// Source: Dao 2023, alg. 1 (arXiv:2307.08691); Milakov & Gimelshein 2018 (arXiv:1805.02867), the running softmax.
#include "half.cuh"
#include "kv_pages.cuh"
#include "panels.cuh"
#include "pdl.cuh"
#include "tensor_core.cuh"
#include "vector.cuh"

constexpr int THREADS = 128;
constexpr int QUERIES = THREADS / 32 * 16;
constexpr int KEYS = 64;
constexpr float LOG2_E = 1.4426950408889634f;

__device__ inline int up_to_sixteens(int count) { return (count + 15) / 16 * 16; }

__device__ inline float infinity() { return __int_as_float(0x7f800000); }

__device__ inline float power_of_2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// A tile of rows in shared memory: D padded with zeros to what an mma takes, and 8 more elements so that eight
// rows' equal columns share no bank.
template <int D>
struct Rows {
    static constexpr int COLUMNS = (D + 15) / 16 * 16;
    static constexpr int STRIDE = COLUMNS + 8;

    // Start copying `count` rows; source(i) is null where there is no row i, which becomes zeros. `anywhere` is an
    // address that could be read, for the copies that read nothing.
    template <typename Source>
    __device__ static void start_copy(unsigned short* tile, int count, const unsigned short* anywhere, Source source) {
        constexpr int CHUNKS = COLUMNS / 8;
        for (int i = threadIdx.x; i < count * CHUNKS; i += THREADS) {
            const int row = i / CHUNKS, column = i % CHUNKS * 8;
            const unsigned short* from = source(row);
            const bool is_inside = from != nullptr && column < D;
            copy_async(tile + row * STRIDE + column, is_inside ? from + column : anywhere, is_inside);
        }
        commit_copies();
    }
};

template <int D>
constexpr int shared_bytes() {
    return (QUERIES + 2 * KEYS) * Rows<D>::STRIDE * 2;
}

// What a warp keeps of its 16 queries. A lane holds rows g and g + 8 of it, in the layout of tensor_core.cuh.
template <int D>
struct Softmax {
    static constexpr int COLUMN_TILES = Rows<D>::COLUMNS / 8;
    float sums[COLUMN_TILES][4] = {};                 // of values, weighted
    float highest[2] = {-infinity(), -infinity()};    // score so far
    float weights[2] = {};                            // their sum, of this lane's columns

    // Turn scores to weights, relative to the highest score so far.
    __device__ void weigh(float (&scores)[KEYS / 8][4]) {
#pragma unroll
        for (int r = 0; r < 2; ++r) {
            float top = highest[r];
#pragma unroll
            for (int n = 0; n < KEYS / 8; ++n) top = fmaxf(top, fmaxf(scores[n][2 * r], scores[n][2 * r + 1]));
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
            const float base = top == -infinity() ? 0.0f : top;  // nothing seen yet: every weight becomes 0
            const float kept = power_of_2((highest[r] - base) * LOG2_E);
            highest[r] = top;
            weights[r] *= kept;
#pragma unroll
            for (int n = 0; n < KEYS / 8; ++n)
#pragma unroll
                for (int i = 2 * r; i < 2 * r + 2; ++i) {
                    scores[n][i] = power_of_2((scores[n][i] - base) * LOG2_E);
                    weights[r] += scores[n][i];
                }
#pragma unroll
            for (int n = 0; n < COLUMN_TILES; ++n) {
                sums[n][2 * r] *= kept;
                sums[n][2 * r + 1] *= kept;
            }
        }
    }
};

// scores = queries @ keys^T: 16 rows from `queries`, and columns: KEYS of them or, unless IS_WHOLE, `num_keys`, a multiple
// of 16.
template <int D, bool IS_WHOLE>
__device__ void multiply_keys(float (&scores)[KEYS / 8][4], const unsigned short* queries, const unsigned short* keys,
                              int num_keys) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < Rows<D>::COLUMNS; k += 16) {
        unsigned query[4];
        load_matrices(query, queries + lane % 16 * Rows<D>::STRIDE + k + lane / 16 * 8);
#pragma unroll
        for (int n = 0; n < KEYS / 8; n += 2) {
            if (!IS_WHOLE && n * 8 >= num_keys) break;
            unsigned key[4];
            load_matrices(key, keys + (n * 8 + lane % 8 + lane / 16 * 8) * Rows<D>::STRIDE + k + lane / 8 % 2 * 8);
            mma_half(scores[n], query, key[0], key[1]);
            mma_half(scores[n + 1], query, key[2], key[3]);
        }
    }
}

// sums += weights @ values, of as many keys as above. The layout of a product's result is that of a left operand, two
// tiles at a time.
template <int D, bool IS_WHOLE>
__device__ void add_values(float (&sums)[Softmax<D>::COLUMN_TILES][4], const float (&weights)[KEYS / 8][4],
                           const unsigned short* values, int num_keys) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < KEYS / 8; k += 2) {
        if (!IS_WHOLE && k * 8 >= num_keys) break;
        const unsigned weight[4] = {floats_to_f16x2(weights[k][0], weights[k][1]),
                                    floats_to_f16x2(weights[k][2], weights[k][3]),
                                    floats_to_f16x2(weights[k + 1][0], weights[k + 1][1]),
                                    floats_to_f16x2(weights[k + 1][2], weights[k + 1][3])};
#pragma unroll
        for (int n = 0; n < Softmax<D>::COLUMN_TILES; n += 2) {
            unsigned value[4];
            load_matrices_transposed(value,
                                     values + (k * 8 + lane % 16) * Rows<D>::STRIDE + n * 8 + lane / 16 * 8);
            mma_half(sums[n], weight, value[0], value[1]);
            mma_half(sums[n + 1], weight, value[2], value[3]);
        }
    }
}

template <int D>
__global__ void __launch_bounds__(THREADS, 2)
attention(const unsigned short* queries, KvPages pages, const int* positions, const int* chunk_tokens, int num_heads,
          int window, Vector sinks, Panels y) {
    let_next_start();
    const int num_tokens = *chunk_tokens;
    const int first_token = ((num_tokens - 1) / QUERIES - static_cast<int>(blockIdx.x)) * QUERIES;  // who see most start first
    if (first_token < 0) return;
    const int first = positions[0] + first_token;  // which no kernel writes
    const int end = positions[0] + min(first_token + QUERIES, num_tokens);  // of what the block sees
    wait_for_previous();
    extern __shared__ uint4 shared[];
    unsigned short* query_tile = reinterpret_cast<unsigned short*>(shared);
    unsigned short* key_tile = query_tile + QUERIES * Rows<D>::STRIDE;
    unsigned short* value_tile = key_tile + KEYS * Rows<D>::STRIDE;
    const int head = blockIdx.y, kv_head = head / (num_heads / pages.num_kv_heads);
    const auto keys_from = [=](int from) { return min(KEYS, up_to_sixteens(end - from)); };
    const auto start_keys = [&](unsigned short* tile, int row_head, int from) {
        Rows<D>::start_copy(tile, keys_from(from), queries, [&](int i) -> const unsigned short* {
            return from + i < end ? kv_row(pages, row_head, from + i) : nullptr;
        });
    };

    const int first_seen = window == 0 ? 0 : max(first + 1 - window, 0);
    const int first_key = first_seen / KEYS * KEYS;
    const int num_queries = min(QUERIES, num_tokens - first_token);
    Rows<D>::start_copy(query_tile, up_to_sixteens(num_queries), queries, [&](int i) -> const unsigned short* {
        const long long token = first_token + i;
        return token < num_tokens ? queries + (token * num_heads + head) * D : nullptr;
    });
    start_keys(key_tile, kv_head, first_key);

    const int lane = threadIdx.x % 32, warp_row = threadIdx.x / 32 * 16, column = lane % 4 * 2;
    const bool has_queries = warp_row < num_queries;
    Softmax<D> softmax;
    for (int from = first_key; from < end; from += KEYS) {
        start_keys(value_tile, kv_head + pages.num_kv_heads, from);
        wait_for_copies<1>();
        __syncthreads();
        float scores[KEYS / 8][4] = {};
        const int num_keys = keys_from(from);
        if (has_queries) {
            const unsigned short* const queries_of_warp = query_tile + warp_row * Rows<D>::STRIDE;
            if (num_keys == KEYS)
                multiply_keys<D, true>(scores, queries_of_warp, key_tile, KEYS);
            else
                multiply_keys<D, false>(scores, queries_of_warp, key_tile, num_keys);
#pragma unroll
            for (int n = 0; n < KEYS / 8; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const int query = first + warp_row + lane / 4 + i / 2 * 8, key = from + n * 8 + column + i % 2;
                    if (key > query || (window != 0 && key + window <= query)) scores[n][i] = -infinity();
                }
            softmax.weigh(scores);
        }
        __syncthreads();  // the keys are read
        if (from + KEYS < end)
            start_keys(key_tile, kv_head, from + KEYS);
        else
            commit_copies();  // an empty group, so that the values are always the one before the latest
        wait_for_copies<1>();
        __syncthreads();
        if (has_queries) {
            if (num_keys == KEYS)
                add_values<D, true>(softmax.sums, scores, value_tile, KEYS);
            else
                add_values<D, false>(softmax.sums, scores, value_tile, num_keys);
        }
        __syncthreads();  // the values are read
    }

#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const int token = first_token + warp_row + lane / 4 + r * 8;
        float total = softmax.weights[r];
        total += __shfl_xor_sync(0xffffffffu, total, 1);
        total += __shfl_xor_sync(0xffffffffu, total, 2);
        if (token >= num_tokens) continue;
        if (sinks.data != nullptr) total += power_of_2((element(sinks, head) - softmax.highest[r]) * LOG2_E);
        const float share = 1.0f / total;
#pragma unroll
        for (int n = 0; n < D / 8; ++n)
            *y.pair(token, head * D + n * 8 + column) =
                floats_to_bf16x2(softmax.sums[n][2 * r] * share, softmax.sums[n][2 * r + 1] * share);
        if (head == num_heads - 1)
            for (int i = num_heads * D + column; i < y.num_panels() * PANEL; i += 8) *y.pair(token, i) = 0;
    }
}
