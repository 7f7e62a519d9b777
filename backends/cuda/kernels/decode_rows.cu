// y = W @ norm(x) + bias for up to three matrices with one input: queries, keys and values; the router; the head.
// Letters: K = columns, A, B, C = their types. Grid: as many blocks as fit at once, each warp taking every
// so-manyth group of ROWS rows, STAGES - 1 turns of the weights under way. Of a router, which has few rows, PARTS
// warps share the columns of each.
#include "matvec.cuh"
#include "pdl.cuh"

// One above the other: the rows of `y` are those of the first, then the second's, then the third's.
struct Stack {
    Rows rows[3];
};

// Where group `group` of a stack lies.
struct Place {
    int which;      // of the stack's matrices
    int group;      // within it
    int first_row;  // of the matrix within y
};

template <int ROWS>
__device__ inline Place place_of(const Stack& stack, int group) {
    Place place{0, group, 0};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const int groups = num_groups<ROWS>(stack.rows[i].num_rows);
        if (place.which == i && place.group >= groups) {
            place.group -= groups;
            place.first_row += stack.rows[i].num_rows;
            place.which = i + 1;
        }
    }
    return place;
}

__host__ __device__ constexpr int largest(int a, int b, int c) { return a > b ? (a > c ? a : c) : (b > c ? b : c); }

template <Source SOURCE, int COLS, Type A, Type B, Type C, int ROWS, int PARTS, int WARPS, int STAGES>
__global__ void __launch_bounds__(32 * WARPS, 1)
    decode_rows(const Input in, const __grid_constant__ Stack stack, float* out) {
    using First = RowStage<A, COLS, ROWS, PARTS>;
    using Second = RowStage<B, COLS, ROWS, PARTS>;
    using Third = RowStage<C, COLS, ROWS, PARTS>;
    constexpr int SLOT_BYTES = largest(First::BYTES, Second::BYTES, Third::BYTES);
    constexpr bool INT8 = wants_int8(A) || wants_int8(B) || wants_int8(C);
    constexpr bool DENSE = !wants_int8(A) || !wants_int8(B) || !wants_int8(C);
    constexpr bool ALIKE = A == B && B == C;
    constexpr int GROUPS = WARPS / PARTS;  // of a block, at a time
    static_assert(WARPS % PARTS == 0);
    extern __shared__ __align__(16) char shared[];
    __shared__ float partial[2][GROUPS][PARTS][ROWS];
    RowSums<GROUPS, PARTS, ROWS> row_sums{partial};
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, part = warp % PARTS;
    const int total = num_groups<ROWS>(stack.rows[0].num_rows) + num_groups<ROWS>(stack.rows[1].num_rows) +
                      num_groups<ROWS>(stack.rows[2].num_rows);
    const int stride = gridDim.x * GROUPS;
    const auto locate = [&](int group) {
        const Place place = place_of<ROWS>(stack, group);
        const Rows& rows = stack.rows[place.which];
        const int row = place.group * ROWS, num_rows = rows.num_rows - row;
        if (ALIKE || place.which == 0) return First::locate(rows.matrix, row, num_rows, part);
        if (place.which == 1) return Second::locate(rows.matrix, row, num_rows, part, 1);
        return Third::locate(rows.matrix, row, num_rows, part, 2);
    };
    const auto copy = [&](SharedAddress slot, const RowSource& source, int turn) {
        if (ALIKE || source.which == 0) First::copy(slot, source, turn, part);
        else if (source.which == 1) Second::copy(slot, source, turn, part);
        else Third::copy(slot, source, turn, part);
    };

    let_next_start();
    int base = blockIdx.x;  // the block's first group; the others are gridDim.x apart, so that every block gets as many
    auto ring = start_ring<SLOT_BYTES, STAGES>(
        shared + ring_offset(shared_input_bytes(COLS, INT8, DENSE)), base + warp / PARTS * gridDim.x, total, stride, locate, copy);
    const InputMaker<SOURCE, COLS, WARPS, INT8, DENSE> input(in);
    wait_for_previous();
    const SharedInput x = input.prepare(shared);

    for (; base < total; base += stride) {  // the same for all warps of a block
        const int group = base + warp / PARTS * static_cast<int>(gridDim.x);
        const Place place = place_of<ROWS>(stack, group);
        const Rows& rows = stack.rows[place.which];
        const int first = place.group * ROWS, row = first + lane;
        const bool stores = part == 0 && lane < ROWS && row < rows.num_rows;
        const float bias = stores ? element_or(rows.bias, row, 0.0f) : 0.0f;  // on its way during the arithmetic
        float sums[ROWS] = {};
        if (group < total) {
            if (ALIKE || place.which == 0) add_rows<First>(sums, ring, rows.matrix, first, x, part);
            else if (place.which == 1) add_rows<Second>(sums, ring, rows.matrix, first, x, part);
            else add_rows<Third>(sums, ring, rows.matrix, first, x, part);
        }
        const float sum = row_sums.add_parts(sums);
        if (stores) out[place.first_row + row] = sum + bias;
    }
}
