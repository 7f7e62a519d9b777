// One tile of Y = X @ W^T on the tensor cores, W dequantized to bfloat16 in shared memory on the way.
//
// Letters: K = columns of X and W; a tile is TOKENS rows of X by ROWS rows of W.
//   X  bfloat16, row-major; its rows are `stride` apart, a multiple of STEP, and zero past column K
//   W  [rows, K], packed, of any type
// Every output is one float32 accumulator that takes K in ascending groups of 16, whatever the tile: a token's
// result depends neither on the tokens beside it nor on the tile's size. Ragged rows are computed as zeros.
// While the tensor cores work on one step of K, the next step's X is copied and its W fetched.
#pragma once
#include "half.cuh"
#include "packed.cuh"
#include "pdl.cuh"
#include "tensor_core.cuh"

constexpr int STEP = 64;           // columns of K a step
constexpr int STEP_BLOCKS = STEP / 32;

template <int TOKENS, int ROWS>
struct MatmulTile {
    static constexpr int THREADS = ROWS * STEP_BLOCKS;  // a thread dequantizes one block of 32 a step
    static constexpr int WARPS = THREADS / 32;
    static constexpr int TOKEN_WARPS = TOKENS >= 64 ? 2 : 1;
    static constexpr int ROW_WARPS = WARPS / TOKEN_WARPS;
    static constexpr int WARP_TOKENS = TOKENS / TOKEN_WARPS;
    static constexpr int WARP_ROWS = ROWS / ROW_WARPS;
    static constexpr int TOKEN_FRAGMENTS = WARP_TOKENS / 16;
    static constexpr int ROW_FRAGMENTS = WARP_ROWS / 8;  // loaded in pairs
    static constexpr int X_CHUNKS = TOKENS * STEP / 8 / THREADS;  // 16-byte pieces a thread copies
    static constexpr int STAGE = (TOKENS + ROWS) * STEP;  // elements of shared memory, of which there are two
    static_assert(ROW_FRAGMENTS % 2 == 0 && X_CHUNKS >= 1);
};

// Dense weights take so many registers on their way through the largest tile that two blocks would not fit.
template <Type T, int TOKENS>
constexpr int least_blocks() {
    return TOKENS <= 64 ? 4 : is_dense(T) ? 1 : 2;
}

// Elements of a row lie in eight 16-byte chunks, permuted so that eight rows' equal chunks share no bank.
__device__ inline unsigned short* swizzled(unsigned short* tile, int row, int chunk) {
    return tile + row * STEP + (chunk ^ (row & 7)) * 8;
}

// A block of 32 weights on its way to shared memory, in few registers while the tensor cores work: as it is stored
// or, where that is no smaller, as pairs of bfloat16.
template <Type T, bool IS_DENSE = is_dense(T)>
struct Fetched {
    Packed<T> packed;
    __device__ void load(const Matrix& w, long long row, int block) { packed = load_packed<T>(w, row, block); }
    __device__ void convert(unsigned (&pairs)[16]) const {
        float values[32];
        dequantize_packed<T>(packed, values);
#pragma unroll
        for (int i = 0; i < 16; ++i) pairs[i] = floats_to_bf16x2(values[2 * i], values[2 * i + 1]);
    }
};

template <Type T>
struct Fetched<T, true> {
    unsigned loaded[16];
    __device__ void load(const Matrix& w, long long row, int block) {
        float values[32];
        load_block<T>(w, row, block, values);
#pragma unroll
        for (int i = 0; i < 16; ++i) loaded[i] = floats_to_bf16x2(values[2 * i], values[2 * i + 1]);
    }
    __device__ void convert(unsigned (&pairs)[16]) const {
#pragma unroll
        for (int i = 0; i < 16; ++i) pairs[i] = loaded[i];
    }
};

template <Type T, int TOKENS, int ROWS>
class MatmulLoop {
    using Tile = MatmulTile<TOKENS, ROWS>;

  public:
    // Args:
    //   shared: 2 * Tile::STAGE elements, 16-byte aligned.
    //   token_row(i): the row of X of the tile's token i, negative where there is none.
    //   first_row, num_rows: the tile's rows of W, and how many of them there are.
    template <typename TokenRow>
    __device__ MatmulLoop(unsigned short* shared, const unsigned short* x, int stride, TokenRow token_row,
                          const Matrix& w, long long first_row, int num_rows)
        : shared_(shared), x_(x), w_(w), row_(first_row + threadIdx.x / STEP_BLOCKS),
          has_row_(static_cast<int>(threadIdx.x) / STEP_BLOCKS < num_rows) {
#pragma unroll
        for (int i = 0; i < Tile::X_CHUNKS; ++i) {
            const int row = token_row(chunk_index(i) / 8);
            sources_[i] = row < 0 ? -1 : row * stride + chunk_index(i) % 8 * 8;
        }
    }

    __device__ void run() {
        const int num_steps = static_cast<int>((w_.cols + STEP - 1) / STEP);
        Fetched<T> fetched;
        fetch(0, fetched);  // weights are there before the kernel that writes X is done
        wait_for_previous();
        start_copy(0);
        store(0, fetched);
        for (int step = 0; step < num_steps; ++step) {
            wait_for_copies<0>();
            __syncthreads();  // this step's tiles are there, and nobody reads the other stage any more
            const bool has_next = step + 1 < num_steps;
            if (has_next) {
                start_copy(step + 1);
                fetch(step + 1, fetched);
            }
            multiply(step);
            if (has_next) store(step + 1, fetched);
        }
    }

    // Write the tile, or add it to what is there.
    // Args:
    //   num_rows: of W in the tile.
    //   bias(row): of a row, counted within the tile.
    //   target(token): where the outputs of the tile's token start, null where there is none.
    template <typename Bias, typename Target>
    __device__ void write(int num_rows, Bias bias, Target target, bool adds) const {
        constexpr int COLUMNS = 2 * Tile::ROW_FRAGMENTS;
        float biases[COLUMNS];
#pragma unroll
        for (int n = 0; n < COLUMNS; ++n) biases[n] = row_of(n) < num_rows ? bias(row_of(n)) : 0.0f;
#pragma unroll
        for (int m = 0; m < 2 * Tile::TOKEN_FRAGMENTS; ++m) {
            float* y = target(first_token() + m * 8 + static_cast<int>(threadIdx.x) % 32 / 4);
            if (y == nullptr) continue;
            float before[COLUMNS] = {};  // all loads before the first store, so that they are under way together
            if (adds) {
#pragma unroll
                for (int n = 0; n < COLUMNS; ++n)
                    if (row_of(n) < num_rows) before[n] = y[row_of(n)];
            }
#pragma unroll
            for (int n = 0; n < COLUMNS; ++n)
                if (row_of(n) < num_rows)
                    y[row_of(n)] = before[n] + (sums_[m / 2][n / 2][m % 2 * 2 + n % 2] + biases[n]);
        }
    }

  private:
    float sums_[Tile::TOKEN_FRAGMENTS][Tile::ROW_FRAGMENTS][4] = {};
    unsigned short* shared_;
    const unsigned short* x_;
    const Matrix& w_;
    long long row_;  // of W, that this thread dequantizes
    bool has_row_;
    int sources_[Tile::X_CHUNKS];  // where in X the 16-byte pieces that this thread copies start; negative: nowhere

    __device__ static int first_token() { return threadIdx.x / 32 / Tile::ROW_WARPS * Tile::WARP_TOKENS; }
    __device__ static int first_weight_row() { return threadIdx.x / 32 % Tile::ROW_WARPS * Tile::WARP_ROWS; }
    __device__ static int row_of(int n) { return first_weight_row() + n / 2 * 8 + threadIdx.x % 4 * 2 + n % 2; }
    __device__ static int chunk_index(int i) { return threadIdx.x + i * Tile::THREADS; }
    __device__ unsigned short* x_tile(int step) const { return shared_ + step % 2 * Tile::STAGE; }
    __device__ unsigned short* w_tile(int step) const { return x_tile(step) + TOKENS * STEP; }

    __device__ void start_copy(int step) const {
#pragma unroll
        for (int i = 0; i < Tile::X_CHUNKS; ++i) {
            const bool is_inside = sources_[i] >= 0;
            copy_async(swizzled(x_tile(step), chunk_index(i) / 8, chunk_index(i) % 8),
                       x_ + (is_inside ? sources_[i] + step * STEP : 0), is_inside);
        }
        commit_copies();
    }

    __device__ bool has_block(int step) const {
        return has_row_ && step * STEP_BLOCKS + static_cast<int>(threadIdx.x) % STEP_BLOCKS < (w_.cols + 31) / 32;
    }

    __device__ void fetch(int step, Fetched<T>& fetched) const {
        if (has_block(step)) fetched.load(w_, row_, step * STEP_BLOCKS + threadIdx.x % STEP_BLOCKS);
    }

    __device__ void store(int step, const Fetched<T>& fetched) const {
        const int row = threadIdx.x / STEP_BLOCKS, chunk = threadIdx.x % STEP_BLOCKS * 4;
        unsigned pairs[16] = {};
        if (has_block(step)) fetched.convert(pairs);
#pragma unroll
        for (int i = 0; i < 4; ++i)
            *reinterpret_cast<uint4*>(swizzled(w_tile(step), row, chunk + i)) =
                make_uint4(pairs[4 * i], pairs[4 * i + 1], pairs[4 * i + 2], pairs[4 * i + 3]);
    }

    __device__ void multiply(int step) {
        const int lane = threadIdx.x % 32;
#pragma unroll
        for (int k = 0; k < STEP / 16; ++k) {
            unsigned w[Tile::ROW_FRAGMENTS / 2][4];
#pragma unroll
            for (int n = 0; n < Tile::ROW_FRAGMENTS / 2; ++n)
                load_matrices(w[n], swizzled(w_tile(step), first_weight_row() + n * 16 + lane % 8 + lane / 16 * 8,
                                             k * 2 + lane / 8 % 2));
#pragma unroll
            for (int m = 0; m < Tile::TOKEN_FRAGMENTS; ++m) {
                unsigned x[4];
                load_matrices(x, swizzled(x_tile(step), first_token() + m * 16 + lane % 16, k * 2 + lane / 16));
#pragma unroll
                for (int n = 0; n < Tile::ROW_FRAGMENTS; ++n)
                    mma_bfloat16(sums_[m][n], x, w[n / 2][n % 2 * 2], w[n / 2][n % 2 * 2 + 1]);
            }
        }
    }
};
