// What decode_attention.cu takes. Letters: N = num_kv_heads, G = query heads per KV head, D = head_dim.
#pragma once
#include "vector.cuh"

struct AttentionArgs {
    const float* qkv;         // [N * G * D + 2 * N * D]: queries, keys, values
    const int* position;      // of the new token
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
    float* partial;           // [gridDim.x][splits][HEADS][D + 4]: sums, maximum, sum of weights, nothing, nothing
    int* num_arrived;         // [gridDim.x], 0 before and after
    void* out;                // [N * G * D] float, or int8 blocks
};

// Where the page of number `number` begins in the pool. What changes from step to step is read past the L1 cache,
// which nobody promises to be emptied for a kernel that starts before the one before it has ended.
__device__ inline long long page_start(const AttentionArgs& args, int number) {
    return __ldcg(args.page_table + number) * args.page_bytes;
}
