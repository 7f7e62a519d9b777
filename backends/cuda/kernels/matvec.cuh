// Rows of a matrix times a vector in shared memory: one warp a few rows, a lane a piece of each row.
// Letter: K = number of columns. A piece is a sub-block of 32 elements of a quantized matrix, 8 of a dense one.
#pragma once
#include "decode_input.cuh"
#include "packed.cuh"
#include "reduce.cuh"

// Eight consecutive elements of a dense row, in registers; zeros past the row's end.
template <Type T, int COLS>
struct DensePiece {
    float values[8];

    __device__ void load(const Matrix& w, long long row, int piece) {
        constexpr int SIZE = T == F32 ? 4 : 2;
        const unsigned char* start = w.quants + (row * COLS + 8LL * piece) * SIZE;
        if constexpr (COLS % 8 == 0) {  // then every row starts on 16 bytes
            if constexpr (T == F32) {
                const uint4 low = load_streaming(start), high = load_streaming(start + 16);
                const unsigned words[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
                for (int i = 0; i < 8; ++i) values[i] = __uint_as_float(words[i]);
            } else {
                const uint4 bits = load_streaming(start);
                const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const float2 pair = T == F16 ? f16x2_to_floats(words[i]) : bf16x2_to_floats(words[i]);
                    values[2 * i] = pair.x;
                    values[2 * i + 1] = pair.y;
                }
            }
        } else {
            const Vector elements{start, T};
#pragma unroll
            for (int i = 0; i < 8; ++i) values[i] = 8 * piece + i < COLS ? element(elements, i) : 0.0f;
        }
    }

    __device__ float dot(const SharedInput& x, int piece) const {
        float sum = 0.0f;
#pragma unroll
        for (int i = 0; i < 8; ++i)
            if (COLS % 8 == 0 || 8 * piece + i < COLS) sum = fmaf(values[i], x.values[8 * piece + i], sum);
        return sum;
    }
};

template <Type T, int COLS>
struct PackedPiece {
    Packed<T> packed;

    __device__ void load(const Matrix& w, long long row, int piece) { packed = load_packed<T>(w, row, piece); }
    __device__ float dot(const SharedInput& x, int piece) const {
        return ::dot(packed, load_int8_block(x.blocks, piece));
    }
};

template <bool IS_DENSE, Type T, int COLS>
struct PieceOf {
    using type = PackedPiece<T, COLS>;
};
template <Type T, int COLS>
struct PieceOf<true, T, COLS> {
    using type = DensePiece<T, COLS>;
};

// The first pieces of a warp's rows, loaded before the input is there: weights depend on no kernel.
//   ROWS   rows of a warp
//   PARTS  warps that share the columns of the same rows
template <Type T, int COLS, int ROWS, int PARTS = 1>
struct RowDots {
    using Piece = typename PieceOf<is_dense(T), T, COLS>::type;
    static constexpr int PIECES = (COLS + (is_dense(T) ? 7 : 31)) / (is_dense(T) ? 8 : 32);
    static constexpr int STRIDE = 32 * PARTS;
    static constexpr int TURNS = (PIECES + STRIDE - 1) / STRIDE;

    // More at once would take the registers that other warps need.
    static constexpr int UNROLL = TURNS * ROWS <= (is_dense(T) ? 12 : 2 * ROWS) ? TURNS : 1;

    Piece ahead[ROWS];

    // `rows[i]` is read whatever it holds: give the number of an existing row.
    __device__ void load(const Matrix& w, const long long (&rows)[ROWS], int part, int turn = 0) {
        const int piece = piece_at(turn, part);
        if (piece < PIECES)
#pragma unroll
            for (int i = 0; i < ROWS; ++i) ahead[i].load(w, rows[i], piece);
    }

    // Adds to `sums` the lane's share of each row's dot product; `load` of the same rows came before.
    // `load_next` is called when the registers are free for what comes after these rows.
    template <class LoadNext>
    __device__ void add(float (&sums)[ROWS], const Matrix& w, const long long (&rows)[ROWS], const SharedInput& x,
                        int part, LoadNext load_next) {
#pragma unroll(UNROLL)
        for (int turn = 0; turn < TURNS; ++turn) {
            Piece now[ROWS];
#pragma unroll
            for (int i = 0; i < ROWS; ++i) now[i] = ahead[i];
            if (turn + 1 < TURNS) load(w, rows, part, turn + 1);
            else load_next();
            const int piece = piece_at(turn, part);
            if (piece < PIECES)
#pragma unroll
                for (int i = 0; i < ROWS; ++i) sums[i] += now[i].dot(x, piece);
        }
    }

    __device__ static int piece_at(int turn, int part) {
        return turn * STRIDE + part * 32 + static_cast<int>(threadIdx.x % 32);
    }
};

// The same rows of two matrices with one input, which is read from shared memory once for both.
template <Type A, Type B, int COLS, int ROWS>
struct PairDots {
    using First = RowDots<A, COLS, ROWS>;
    using Second = RowDots<B, COLS, ROWS>;
    First first;
    Second second;

    __device__ void load(const Matrix& a, const Matrix& b, const long long (&rows)[ROWS], int turn = 0) {
        first.load(a, rows, 0, turn);
        second.load(b, rows, 0, turn);
    }

    // As `RowDots::add`.
    template <class LoadNext>
    __device__ void add(float (&sums_a)[ROWS], float (&sums_b)[ROWS], const Matrix& a, const Matrix& b,
                        const long long (&rows)[ROWS], const SharedInput& x, LoadNext load_next) {
        if constexpr (is_dense(A) != is_dense(B)) {  // pieces of different sizes
            first.add(sums_a, a, rows, x, 0, [] {});
            second.add(sums_b, b, rows, x, 0, load_next);
        } else {
#pragma unroll(First::UNROLL)
            for (int turn = 0; turn < First::TURNS; ++turn) {
                typename First::Piece now_a[ROWS];
                typename Second::Piece now_b[ROWS];
#pragma unroll
                for (int i = 0; i < ROWS; ++i) {
                    now_a[i] = first.ahead[i];
                    now_b[i] = second.ahead[i];
                }
                if (turn + 1 < First::TURNS) load(a, b, rows, turn + 1);
                else load_next();
                const int piece = First::piece_at(turn, 0);
                if (piece < First::PIECES)
#pragma unroll
                    for (int i = 0; i < ROWS; ++i) {
                        sums_a[i] += now_a[i].dot(x, piece);
                        sums_b[i] += now_b[i].dot(x, piece);
                    }
            }
        }
    }
};

// One matrix of a layer.
struct Rows {
    Matrix matrix;  // [num_rows, K]
    int num_rows;
    Vector bias;    // [num_rows] or null
};

// The rows of group `group` of ROWS; those past the end are the last one once more.
template <int ROWS>
__device__ inline void rows_of_group(const Rows& rows, int group, long long (&numbers)[ROWS]) {
#pragma unroll
    for (int i = 0; i < ROWS; ++i) numbers[i] = min(group * ROWS + i, rows.num_rows - 1);
}

__host__ __device__ constexpr bool wants_int8(Type type) { return !is_dense(type); }
