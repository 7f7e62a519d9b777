// rope: from the products of one layer to queries and cached keys and values: the norm of every head by itself
// where the model has one, the rotation, and float16. Letters: T = tokens, N = num_heads, M = num_kv_heads,
// D = head_dim, R = rotary_dim.
//
//   qkv          [T, (N + 2M) * D]  float32
//   query_norm   [D]                or none; likewise key_norm
//   frequencies  [R / 2]            float64, radians per position; null where R = 0
//   queries      [T, N, D]          float16, scaled
//   positions    [T]                consecutive; the first is read, so that one graph serves all places
//   pages                           keys and values of those positions are written
//
// Launch: grid (at least T, which lies in device memory; ceil((N + 2M) / WARPS)), block THREADS, no dynamic shared memory. R <= D <= 256, R even.
// Source: Su et al. 2021, eq. 34 (arXiv:2104.09864).
#include "half.cuh"
#include "kv_pages.cuh"
#include "pdl.cuh"
#include "reduce.cuh"
#include "vector.cuh"

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;
constexpr int MAX_HEAD_DIM = 256;

struct Rope {
    const double* frequencies;
    float magnitude;      // of every cosine and sine
    int rotary_dim;       // 0: nothing turns
    int pairs_neighbours; // (2i, 2i + 1) turn together, else (i, i + R / 2)
};

// Cosine and sine of every pair at a position. In whole turns, float64: at far positions float32 would miss the
// angle by whole radians.
__device__ void rotations(const Rope& rope, int position, float2* turns) {
    constexpr double TURNS_PER_RADIAN = 0.15915494309189535;
    for (int pair = threadIdx.x; pair < rope.rotary_dim / 2; pair += THREADS) {
        const double angle = position * rope.frequencies[pair] * TURNS_PER_RADIAN;
        float sine, cosine;
        sincospif(2.0f * static_cast<float>(angle - rint(angle)), &sine, &cosine);
        turns[pair] = make_float2(rope.magnitude * cosine, rope.magnitude * sine);
    }
}

// Element i of a head after its norm and rotation.
__device__ float turned(const float* head, int i, const Vector& norm, float norm_scale, const Rope& rope,
                        const float2* turns) {
    const auto normed = [&](int at) { return head[at] * norm_scale * element_or(norm, at, 1.0f); };
    if (i >= rope.rotary_dim) return normed(i);
    const int half = rope.rotary_dim / 2;
    const int pair = rope.pairs_neighbours ? i / 2 : i % half;
    const bool is_first = rope.pairs_neighbours ? i % 2 == 0 : i < half;
    const int step = rope.pairs_neighbours ? 1 : half;
    const float partner = normed(is_first ? i + step : i - step);
    return normed(i) * turns[pair].x + (is_first ? -partner : partner) * turns[pair].y;
}

__global__ void __launch_bounds__(THREADS, 4)
rope(const float* qkv, int num_heads, Vector query_norm, Vector key_norm, float query_eps, float key_eps,
     Rope rope, float query_scale, unsigned short* queries, KvPages pages, const int* positions,
     const int* num_tokens) {
    let_next_start();
    if (static_cast<int>(blockIdx.x) >= *num_tokens) return;
    __shared__ float2 turns[MAX_HEAD_DIM / 2];
    const long long token = blockIdx.x;
    const int position = positions[0] + blockIdx.x, lane = threadIdx.x % 32;
    const int head_dim = pages.head_dim, num_kv_heads = pages.num_kv_heads;
    const int num_all = num_heads + 2 * num_kv_heads;
    rotations(rope, position, turns);  // of what no kernel writes
    __syncthreads();
    wait_for_previous();
    const int h = blockIdx.y * WARPS + threadIdx.x / 32;  // a warp a head
    if (h >= num_all) return;
    const float* head = qkv + (token * num_all + h) * head_dim;
    if (h >= num_heads + num_kv_heads) {
        unsigned short* target = kv_row(pages, h - num_heads, position);
        for (int i = lane; i < head_dim; i += 32) target[i] = float_to_f16(head[i]);
        return;
    }
    const bool is_query = h < num_heads;
    const Vector norm = is_query ? query_norm : key_norm;
    float norm_scale = 1.0f;
    if (norm.data != nullptr) {
        float squares = 0.0f;
        for (int i = lane; i < head_dim; i += 32) squares += head[i] * head[i];
        norm_scale = 1.0f / sqrtf(warp_sum(squares) / head_dim + (is_query ? query_eps : key_eps));
    }
    unsigned short* target =
        is_query ? queries + (token * num_heads + h) * head_dim : kv_row(pages, h - num_heads, position);
    const float scale = is_query ? query_scale : 1.0f;
    for (int i = lane; i < head_dim; i += 32)
        target[i] = float_to_f16(scale * turned(head, i, norm, norm_scale, rope, turns));
}
