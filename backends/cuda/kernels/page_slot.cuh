// A page of the KV cache in shared memory, laid out for the tensor cores.
#pragma once
#include "kv_pages.cuh"
#include "tensor_core.cuh"

// A page of keys, then of values, in a warp's shared memory; a row is one position. Rows are 16 bytes longer than
// need be, so that the matrix instructions find them in different banks.
template <int D>
struct PageSlot {
    static constexpr int STEPS = (D + 15) / 16;  // of 16 elements; what a last one has beyond D is 0 in the keys
    static constexpr int ROW = 16 * STEPS + 8;   // elements
    static constexpr int PLANE_BYTES = 2 * PAGE_TOKENS * ROW;
    static constexpr int BYTES = 2 * PLANE_BYTES;
    static constexpr int VECTORS = D / 8;  // of 16 bytes a row

    // Start copying the rows of positions first .. last of page `page` that lie in memory at `from`; others become 0.
    __device__ static void copy(char* plane, const unsigned char* from, int page, int first, int last) {
        const int lane = threadIdx.x % 32;
#pragma unroll
        for (int pass = 0; pass < (PAGE_TOKENS * VECTORS + 31) / 32; ++pass) {
            const int vector = lane + 32 * pass, row = vector / VECTORS, position = PAGE_TOKENS * page + row;
            if ((PAGE_TOKENS * VECTORS) % 32 != 0 && vector >= PAGE_TOKENS * VECTORS) continue;
            copy_async(plane + 2 * ROW * row + 16 * (vector % VECTORS), from + 16 * vector,
                       first <= position && position <= last);
        }
    }

    // Where a lane points for rows or columns of a matrix that lie 16 bytes apart.
    //   IS_B  the right operand, stored by columns: its two halves of 8 elements before its two halves of columns
    template <bool IS_B>
    __device__ static int lane_bytes() {
        const int lane = threadIdx.x % 32, odd = lane / 8 % 2, upper = lane / 16;
        return 2 * ROW * (lane % 8 + 8 * (IS_B ? upper : odd)) + 16 * (IS_B ? odd : upper);
    }
};
