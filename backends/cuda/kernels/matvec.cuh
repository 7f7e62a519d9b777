// Rows of a matrix times a vector in shared memory: one warp a few rows, a lane a piece of each (row_stage.cuh),
// the weights streaming in ahead (weight_ring.cuh). Letter: K = number of columns.
#pragma once
#include "reduce.cuh"
#include "row_stage.cuh"
#include "weight_ring.cuh"

// One matrix of a layer.
struct Rows {
    Matrix matrix;  // [num_rows, K]
    int num_rows;
    Vector bias;    // [num_rows] or null
};

template <int ROWS>
__host__ __device__ constexpr int num_groups(int num_rows) { return (num_rows + ROWS - 1) / ROWS; }

__host__ __device__ constexpr bool wants_int8(Type type) { return !is_dense(type); }

// Where a block's rings begin in its dynamic shared memory: behind the input.
__host__ __device__ constexpr int ring_offset(int input_bytes) { return (input_bytes + 15) / 16 * 16; }

// Adds to `sums` the lane's share of a group's rows, whose turns come next in the ring. `row` is the first.
template <class Stage, class Ring, int ROWS>
__device__ inline void add_rows(float (&sums)[ROWS], Ring& ring, const Matrix& w, long long row, const SharedInput& x,
                                int part = 0) {
#pragma unroll 1
    for (int turn = 0; turn < Stage::TURNS; ++turn) {
        const char* slot = ring.next();
        Stage::add(sums, slot, w, row, Stage::input(x, turn, part), turn, part);
    }
}

// Lane i gets the warp's sum of values[i % N]; N is a power of two. Each step halves what is still to be added, so
// that it takes fewer shuffles than a sum for each.
template <int N>
__device__ inline float warp_sum_of_each(float (&values)[N]) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int left = N / 2, offset = 1; left > 0; left /= 2, offset *= 2)
#pragma unroll
        for (int i = 0; i < left; ++i) {
            const bool is_odd = lane & offset;
            const float kept = is_odd ? values[2 * i + 1] : values[2 * i], given = is_odd ? values[2 * i] : values[2 * i + 1];
            values[i] = kept + __shfl_xor_sync(ALL_LANES, given, offset);
        }
    float sum = values[0];
#pragma unroll
    for (int offset = N; offset < 32; offset *= 2) sum += __shfl_xor_sync(ALL_LANES, sum, offset);
    return sum;
}

// The sums of GROUPS groups of ROWS rows, PARTS neighbouring warps sharing the columns of each.
template <int GROUPS, int PARTS, int ROWS>
struct RowSums {
    float (&partial)[2][GROUPS][PARTS][ROWS];  // in shared memory
    int parity = 0;

    // In the first warp of a group lane i < ROWS gets that of row i, of its warps' `sums`. All threads call it.
    __device__ float add_parts(float (&sums)[ROWS]) {
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        float sum = warp_sum_of_each(sums);
        if constexpr (PARTS > 1) {
            if (lane < ROWS) partial[parity][warp / PARTS][warp % PARTS][lane] = sum;
            __syncthreads();  // once a turn of the loop: the next one writes the other half of `partial`
            sum = 0.0f;
            if (warp % PARTS == 0 && lane < ROWS)
#pragma unroll
                for (int part = 0; part < PARTS; ++part) sum += partial[parity][warp / PARTS][part][lane];
            parity ^= 1;
        }
        return sum;
    }
};

struct PairSource {
    RowSource first, second;
    int num_turns;
};

// The same rows of two matrices with one input: their turns alternate, so that a piece of the input is read once
// for both, unless their pieces differ in size.
template <Type A, Type B, int COLS, int ROWS>
struct PairStage {
    using First = RowStage<A, COLS, ROWS>;
    using Second = RowStage<B, COLS, ROWS>;
    static constexpr bool ALTERNATES = is_dense(A) == is_dense(B);
    static constexpr int BYTES = First::BYTES > Second::BYTES ? First::BYTES : Second::BYTES;

    __device__ static PairSource locate(const Matrix& a, const Matrix& b, long long row, int num_rows) {
        return {First::locate(a, row, num_rows), Second::locate(b, row, num_rows), First::TURNS + Second::TURNS};
    }

    // Starts copying turn `turn` of both together.
    __device__ static void copy(SharedAddress slot, const PairSource& source, int turn) {
        const bool is_first = ALTERNATES ? turn % 2 == 0 : turn < First::TURNS;
        const int own_turn = ALTERNATES ? turn / 2 : is_first ? turn : turn - First::TURNS;
        if (is_first) First::copy(slot, source.first, own_turn);
        else Second::copy(slot, source.second, own_turn);
    }

    // As `add_rows`.
    template <class Ring>
    __device__ static void add(float (&sums_a)[ROWS], float (&sums_b)[ROWS], Ring& ring, const Matrix& a,
                               const Matrix& b, long long row, const SharedInput& x) {
        if constexpr (ALTERNATES) {
#pragma unroll 1
            for (int turn = 0; turn < First::TURNS; ++turn) {
                const auto piece = First::input(x, turn);
                const char* slot_a = ring.next();
                First::add(sums_a, slot_a, a, row, piece, turn);
                const char* slot_b = ring.next();
                Second::add(sums_b, slot_b, b, row, piece, turn);
            }
        } else {
            add_rows<First>(sums_a, ring, a, row, x);
            add_rows<Second>(sums_b, ring, b, row, x);
        }
    }
};
