// y = W @ norm(x) + bias for up to three matrices with one input: queries, keys and values; the router; the head.
// Letters: K = columns, A, B, C = their types. Grid: as many blocks as fit at once, each warp taking every
// so-manyth group of ROWS rows.
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
__device__ inline int num_groups(const Rows& rows) { return (rows.num_rows + ROWS - 1) / ROWS; }

template <int ROWS>
__device__ inline Place place_of(const Stack& stack, int group) {
    Place place{0, group, 0};
#pragma unroll
    for (int i = 0; i < 2; ++i)
        if (place.which == i && place.group >= num_groups<ROWS>(stack.rows[i])) {
            place.group -= num_groups<ROWS>(stack.rows[i]);
            place.first_row += stack.rows[i].num_rows;
            place.which = i + 1;
        }
    return place;
}

template <int ROWS>
__device__ void store_rows(const Rows& rows, const long long (&numbers)[ROWS], float (&sums)[ROWS], int group, float* out) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
        const float sum = warp_sum(sums[i]);
        const int row = group * ROWS + i;
        if (lane == i && row < rows.num_rows) out[row] = sum + element_or(rows.bias, numbers[i], 0.0f);
    }
}

// The groups [begin, end) of one matrix that fall to this warp, whose next group is `group`.
template <Type T, int COLS, int ROWS>
__device__ int multiply_groups(const Rows& rows, const SharedInput& x, int group, int begin, int end, int stride, float* out) {
    RowDots<T, COLS, ROWS> dots;
    long long numbers[ROWS];
    if (group < end) {
        rows_of_group(rows, group - begin, numbers);
        dots.load(rows.matrix, numbers, 0);
    }
    for (; group < end; group += stride) {
        rows_of_group(rows, group - begin, numbers);
        float sums[ROWS] = {};
        dots.add(sums, rows.matrix, numbers, x, 0, [&] {
            long long next[ROWS];
            rows_of_group(rows, min(group + stride, end - 1) - begin, next);
            if (group + stride < end) dots.load(rows.matrix, next, 0);
        });
        store_rows(rows, numbers, sums, group - begin, out);
    }
    return group;
}

// All three of one type: one loop, whose first rows are loaded before the input is awaited.
template <Source SOURCE, int COLS, Type T, int ROWS, int WARPS>
__device__ void multiply_alike(const Input& in, const Stack& stack, float* out, char* shared) {
    const int total = num_groups<ROWS>(stack.rows[0]) + num_groups<ROWS>(stack.rows[1]) + num_groups<ROWS>(stack.rows[2]);
    const int stride = gridDim.x * WARPS;
    int group = blockIdx.x * WARPS + threadIdx.x / 32;
    RowDots<T, COLS, ROWS> dots;
    const auto load = [&](int which) {
        const Place place = place_of<ROWS>(stack, which);
        long long numbers[ROWS];
        rows_of_group(stack.rows[place.which], place.group, numbers);
        dots.load(stack.rows[place.which].matrix, numbers, 0);
    };
    if (group < total) load(group);
    const InputMaker<SOURCE, COLS, WARPS, wants_int8(T), !wants_int8(T)> input(in);
    wait_for_previous();
    const SharedInput x = input.prepare(shared);
    for (; group < total; group += stride) {
        const Place place = place_of<ROWS>(stack, group);
        const Rows& rows = stack.rows[place.which];
        long long numbers[ROWS];
        rows_of_group(rows, place.group, numbers);
        float sums[ROWS] = {};
        dots.add(sums, rows.matrix, numbers, x, 0, [&] {
            if (group + stride < total) load(group + stride);
        });
        store_rows(rows, numbers, sums, place.group, out + place.first_row);
    }
}

template <Source SOURCE, int COLS, Type A, Type B, Type C, int ROWS, int WARPS>
__global__ void __launch_bounds__(32 * WARPS, 1)
    decode_rows(const Input in, const __grid_constant__ Stack stack, float* out) {
    extern __shared__ __align__(16) char shared[];
    let_next_start();
    if constexpr (A == B && B == C) {
        multiply_alike<SOURCE, COLS, A, ROWS, WARPS>(in, stack, out, shared);
    } else {
        constexpr bool INT8 = wants_int8(A) || wants_int8(B) || wants_int8(C);
        constexpr bool DENSE = !wants_int8(A) || !wants_int8(B) || !wants_int8(C);
        const InputMaker<SOURCE, COLS, WARPS, INT8, DENSE> input(in);
        wait_for_previous();
        const SharedInput x = input.prepare(shared);
        const Rows &a = stack.rows[0], &b = stack.rows[1], &c = stack.rows[2];
        const int end_a = num_groups<ROWS>(a), end_b = end_a + num_groups<ROWS>(b), end_c = end_b + num_groups<ROWS>(c);
        const int stride = gridDim.x * WARPS;
        int group = blockIdx.x * WARPS + threadIdx.x / 32;
        group = multiply_groups<A, COLS, ROWS>(a, x, group, 0, end_a, stride, out);
        group = multiply_groups<B, COLS, ROWS>(b, x, group, end_a, end_b, stride, out + a.num_rows);
        multiply_groups<C, COLS, ROWS>(c, x, group, end_b, end_c, stride, out + a.num_rows + b.num_rows);
    }
}
