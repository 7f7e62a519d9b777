// One turn of a warp over a few rows of a matrix, in shared memory. A lane takes one piece of each row: a sub-block
// of 32 elements of a quantized matrix, 8 elements of a dense one.
#pragma once
#include "async_copy.cuh"
#include "decode_input.cuh"
#include "packed.cuh"

__host__ __device__ constexpr int common_divisor(int a, int b) { return b == 0 ? a : common_divisor(b, a % b); }

// What a lane copies of a small plane: every turn 16 bytes.
struct Chunk {
    const unsigned char* from;  // in the first turn
    int first_byte;             // of the turn's bytes of the row; negative where they do not start on 16 bytes
};

constexpr int MOST_CHUNKS = 2;       // of a lane
constexpr int NO_CHUNK = 1 << 30;    // first_byte of one that is not there

// Where a lane finds the rows of a group. What a type does not have is never set and costs nothing.
struct RowSource {
    const unsigned char* start;  // its vectors of the first row, in the first turn
    Chunk supers[MOST_CHUNKS], highs[MOST_CHUNKS], scales[MOST_CHUNKS];
    int num_rows;                // that exist
    int num_turns;
    int which;                   // of several matrices
};

// What a turn takes of a small plane: of each row TURN_BYTES neighbouring bytes, wherever they start. They are
// copied as the 16-byte chunks that they lie in.
//   ROW_BYTES  from a row to the next
//   UNIT       a row starts at a multiple of so many bytes
template <int TURN_BYTES, int ROW_BYTES, int UNIT, int ROWS>
struct PlaneStage {
    static constexpr bool WHOLE = TURN_BYTES % 16 == 0;  // else, in Q6_K, turns start on 8 bytes
    static constexpr int ALIGNED = WHOLE ? UNIT : common_divisor(UNIT, 8);
    static constexpr int CHUNKS = (TURN_BYTES + 16 - ALIGNED + 15) / 16;
    static constexpr int BYTES = ROWS * CHUNKS * 16;
    static constexpr int PASSES = (ROWS * CHUNKS + 31) / 32;
    static_assert(PASSES <= MOST_CHUNKS);

    // `start` is that of the first row's first turn.
    __device__ static void locate(Chunk (&chunks)[MOST_CHUNKS], const unsigned char* start, int num_rows) {
#pragma unroll
        for (int pass = 0; pass < PASSES; ++pass) {
            const int index = 32 * pass + static_cast<int>(threadIdx.x % 32), row = index / CHUNKS;
            const unsigned char* in_row = start + row * ROW_BYTES;
            const int first_byte = 16 * (index % CHUNKS) - (WHOLE ? skew_of(in_row) : 0);
            chunks[pass] = {in_row + first_byte, row < min(num_rows, ROWS) ? first_byte : NO_CHUNK};
        }
    }

    // `offset` is the turn's in bytes, `left` how many the row has from there on.
    __device__ static void copy(SharedAddress stage, const Chunk (&chunks)[MOST_CHUNKS], int offset, int left) {
#pragma unroll
        for (int pass = 0; pass < PASSES; ++pass) {
            const int skew = WHOLE ? 0 : skew_of(chunks[pass].from + offset);
            if (chunks[pass].first_byte - skew < min(TURN_BYTES, left))
                copy_async_to(stage + 16 * (threadIdx.x % 32) + 512 * pass, chunks[pass].from + offset - skew);
        }
    }

    // Where row `row` of a turn lies.
    __device__ static const char* at(const char* stage, const unsigned char* start, int row, int offset) {
        return stage + row * CHUNKS * 16 + skew_of(start + row * ROW_BYTES + (WHOLE ? 0 : offset));
    }

    __device__ static int skew_of(const unsigned char* address) {
        return ALIGNED == 16 ? 0 : static_cast<int>(reinterpret_cast<unsigned long long>(address) % 16);
    }
};

// Eight elements of the input as the weights meet them.
struct EightFloats {
    float v[8];
};

template <bool IS_DENSE>
struct InputPiece {
    using type = Int8Block;
};
template <>
struct InputPiece<true> {
    using type = EightFloats;
};

//   PARTS  warps that share the columns of the same rows
template <Type T, int COLS, int ROWS, int PARTS = 1>
struct RowStage {
    static constexpr bool DENSE = is_dense(T), RAGGED = DENSE && COLS % 8 != 0;
    static constexpr int PIECES = DENSE ? (COLS + 7) / 8 : COLS / 32;
    static constexpr int TURN_PIECES = 32 * PARTS;
    static constexpr int TURNS = (PIECES + TURN_PIECES - 1) / TURN_PIECES;
    static constexpr bool FULL = PIECES % TURN_PIECES == 0;  // every lane has a piece in every turn

    // A lane's share of the largest plane: 16 bytes, or twice that.
    static constexpr int SIZE = T == F32 ? 4 : 2;  // of a dense element
    static constexpr int VECTORS = T == F32 || T == Q8_0 ? 2 : 1;
    static constexpr int ROW_BYTES = DENSE ? COLS * SIZE : PIECES * 16 * VECTORS;
    static constexpr int PIECE_BYTES = T == F32 ? 32 : 16;
    static constexpr int VECTOR_BYTES = T == F32 ? 16 : PIECES * 16;  // from the first to the second

    // The other planes: bytes of each piece, or of eight; then of a row; and what rows start at a multiple of, since
    // planes follow each other without gaps.
    static constexpr int HIGH = has_fifth_bit(T) ? 4 : T == Q6_K ? 8 : 0;
    static constexpr int SCALE = DENSE || has_super_block(T) ? 0 : T == MXFP4 ? 1 : T == Q4_1 || T == Q5_1 ? 4 : 2;
    static constexpr int SUPER = has_super_block(T) ? 16 : T == Q6_K ? 2 : 0;
    static constexpr int HIGH_ROW = PIECES * HIGH, SCALE_ROW = PIECES * SCALE, SUPER_ROW = PIECES / 8 * SUPER;
    static constexpr int HIGH_UNIT = common_divisor(16, HIGH_ROW), SCALE_UNIT = common_divisor(HIGH_UNIT, SCALE_ROW);
    static constexpr int SUPER_UNIT = T == Q6_K ? common_divisor(SCALE_UNIT, SUPER_ROW) : 16;
    using Supers = PlaneStage<4 * SUPER, SUPER_ROW, SUPER_UNIT, ROWS>;
    using Highs = PlaneStage<32 * HIGH, HIGH_ROW, HIGH_UNIT, ROWS>;
    using Scales = PlaneStage<32 * SCALE, SCALE_ROW, SCALE_UNIT, ROWS>;

    static constexpr int AT_SUPERS = ROWS * 32 * 16 * VECTORS;
    static constexpr int AT_HIGHS = AT_SUPERS + (SUPER > 0 ? Supers::BYTES : 0);
    static constexpr int AT_SCALES = AT_HIGHS + (HIGH > 0 ? Highs::BYTES : 0);
    static constexpr int BYTES = AT_SCALES + (SCALE > 0 ? Scales::BYTES : 0);

    using Input = typename InputPiece<DENSE>::type;

    // Of rows row .. row + ROWS - 1 of a matrix that has `num_rows` from `row` on.
    __device__ static RowSource locate(const Matrix& w, long long row, int num_rows, int part = 0, int which = 0) {
        RowSource source;
        source.start = w.quants + row * ROW_BYTES + (32 * part + lane()) * PIECE_BYTES;
        if constexpr (SUPER > 0) Supers::locate(source.supers, w.super + row * SUPER_ROW + 4 * SUPER * part, num_rows);
        if constexpr (HIGH > 0) Highs::locate(source.highs, w.high + row * HIGH_ROW + 32 * HIGH * part, num_rows);
        if constexpr (SCALE > 0) Scales::locate(source.scales, w.scales + row * SCALE_ROW + 32 * SCALE * part, num_rows);
        source.num_rows = num_rows;
        source.num_turns = TURNS;
        source.which = which;
        return source;
    }

    // Start copying turn `turn`.
    __device__ static void copy(SharedAddress stage, const RowSource& source, int turn, int part = 0) {
        const int first = turn * TURN_PIECES + 32 * part, left = PIECES - first;  // pieces from the turn's first on
        if (!FULL && left <= 0) return;
        const unsigned char* start = source.start + turn * (TURN_PIECES * PIECE_BYTES);
        const SharedAddress vectors = stage + lane() * 16;
#pragma unroll
        for (int i = 0; i < ROWS; ++i)
            if (i < source.num_rows && (FULL || lane() < left))
#pragma unroll
                for (int v = 0; v < VECTORS; ++v) {
                    const SharedAddress to = vectors + (i * VECTORS + v) * 32 * 16;
                    const unsigned char* from = start + i * ROW_BYTES + v * VECTOR_BYTES;
                    if constexpr (RAGGED) copy_elements(pointer_to(to), from, COLS - 8 * (first + lane()) - 4 * v);
                    else copy_async_to(to, from);
                }
        const int offset = turn * (TURN_PIECES / 8);  // in units of eight pieces
        if constexpr (SUPER > 0) Supers::copy(stage + AT_SUPERS, source.supers, offset * SUPER, left / 8 * SUPER);
        if constexpr (HIGH > 0) Highs::copy(stage + AT_HIGHS, source.highs, offset * 8 * HIGH, left * HIGH);
        if constexpr (SCALE > 0) Scales::copy(stage + AT_SCALES, source.scales, offset * 8 * SCALE, left * SCALE);
    }

    // What the lane's pieces of a turn are multiplied with.
    __device__ static Input input(const SharedInput& x, int turn, int part = 0) {
        const int own = turn * TURN_PIECES + 32 * part + lane(), piece = FULL ? own : min(own, PIECES - 1);
        if constexpr (DENSE) {
            EightFloats out;
#pragma unroll
            for (int i = 0; i < 8; ++i) out.v[i] = !RAGGED || 8 * piece + i < COLS ? x.values[8 * piece + i] : 0.0f;
            return out;
        } else {
            return load_int8_block(x.blocks, piece);
        }
    }

    // Add the lane's share of each row's dot product. Rows that do not exist get something meaningless.
    __device__ static void add(float (&sums)[ROWS], const char* stage, const Matrix& w, long long row, const Input& x,
                               int turn, int part = 0) {
        if (!FULL && turn * TURN_PIECES + 32 * part + lane() >= PIECES) return;
        const uint4* vectors = reinterpret_cast<const uint4*>(stage) + lane();
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            if constexpr (DENSE) sums[i] += dot_dense(vectors + i * VECTORS * 32, x);
            else sums[i] += ::dot(read(stage, vectors + i * VECTORS * 32, w, row, turn * PARTS + part, i), x);
        }
    }

private:
    __device__ static int lane() { return static_cast<int>(threadIdx.x % 32); }

    // 16 bytes of a row that starts anywhere, `num_left` elements before its end; zeros beyond.
    __device__ static void copy_elements(void* to, const unsigned char* from, int num_left) {
#pragma unroll
        for (int i = 0; i < 8; ++i)
            static_cast<unsigned short*>(to)[i] =
                i < num_left * (SIZE / 2) ? reinterpret_cast<const unsigned short*>(from)[i] : 0;
    }

    __device__ static float dot_dense(const uint4* vectors, const EightFloats& x) {
        float sum = 0.0f;
#pragma unroll
        for (int v = 0; v < VECTORS; ++v) {
            const uint4 bits = vectors[32 * v];
            const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                if constexpr (T == F32) {
                    sum = fmaf(__uint_as_float(words[k]), x.v[4 * v + k], sum);
                } else {
                    const float2 pair = T == F16 ? f16x2_to_floats(words[k]) : bf16x2_to_floats(words[k]);
                    sum = fmaf(pair.y, x.v[2 * k + 1], fmaf(pair.x, x.v[2 * k], sum));
                }
            }
        }
        return sum;
    }

    // As `load_packed`, from shared memory; `turn` counts those of all parts.
    __device__ static Packed<T> read(const char* stage, const uint4* vectors, const Matrix& w, long long row, int turn, int i) {
        Packed<T> p;
        p.quants = vectors[0];
        if constexpr (T == Q8_0) p.upper = vectors[32];
        if constexpr (SUPER > 0) {
            const char* super = Supers::at(stage + AT_SUPERS, w.super + row * SUPER_ROW, i, 4 * SUPER * turn) + lane() / 8 * SUPER;
            if constexpr (T == Q6_K) p.super_scale = *reinterpret_cast<const unsigned short*>(super);
            else p.super = *reinterpret_cast<const uint4*>(super);
            p.index = lane() % 8;
        }
        if constexpr (HIGH > 0) {
            const char* high = Highs::at(stage + AT_HIGHS, w.high + row * HIGH_ROW, i, 0) + lane() * HIGH;
            if constexpr (T == Q6_K) p.high = *reinterpret_cast<const uint2*>(high);
            else p.high.x = *reinterpret_cast<const unsigned*>(high);
        }
        if constexpr (SCALE > 0) {
            const char* scale = Scales::at(stage + AT_SCALES, w.scales + row * SCALE_ROW, i, 0) + lane() * SCALE;
            if constexpr (SCALE == 4) p.scales = *reinterpret_cast<const unsigned*>(scale);
            else if constexpr (SCALE == 2) p.scales = *reinterpret_cast<const unsigned short*>(scale);
            else p.scales = *reinterpret_cast<const unsigned char*>(scale);
        }
        return p;
    }
};
