// Where keys and values lie: pages of 16 positions; a page holds for every layer K [N, 16, D], then V likewise,
// float16. Letters: N = num_kv_heads, D = head_dim.
#pragma once

constexpr int PAGE_TOKENS = 16;

// One sequence's pages as one layer sees them.
struct KvPages {
    unsigned char* pool;
    const int* page_table;  // the page of positions 16i .. 16i + 15
    long long page_bytes;
    long long layer_bytes;  // where this layer's keys begin in a page
    int num_kv_heads;
    int head_dim;
};

// Head `head` at `position`, of the keys; a head of the values is head + num_kv_heads.
__device__ inline unsigned short* kv_row(const KvPages& pages, int head, int position) {
    unsigned char* layer = pages.pool + pages.page_table[position / PAGE_TOKENS] * pages.page_bytes + pages.layer_bytes;
    return reinterpret_cast<unsigned short*>(layer) + (head * PAGE_TOKENS + position % PAGE_TOKENS) * pages.head_dim;
}
