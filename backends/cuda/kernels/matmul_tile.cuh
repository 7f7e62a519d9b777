// One tile of Y = X @ W^T on the tensor cores. W goes from memory to registers and becomes bfloat16 there; only X
// passes through shared memory.
//
// Letters: K = columns of X and W. X are panels (panels.cuh); W is [rows, K], packed, of any type. Sixteen rows of W are
// the left operand of a product, eight tokens the right one. Of the sixteen, eight are of type EVEN and eight of type
// ODD: of one matrix or, where two are multiplied together, of both.
//
// K is cut into PARTS parts, the same whatever the tile. Every output is the sum of its parts in their order, and a
// part is one float32 accumulator that takes K in groups of 16, in the same order whatever the instruction: a token's
// result depends neither on the tokens beside it nor on the tile, to the bit.
//
//   ManyTile  for the tensor cores' sake: each warp multiplies all the tile's tokens with its own sixteen rows, part
//             after part
//   FewTile   for the memory's sake: 16 tokens; each part of K has warps of its own, which share what they read of X and
//             take the block's rows in turn
#pragma once
#include "half.cuh"
#include "packed.cuh"
#include "panel_ring.cuh"
#include "panels.cuh"
#include "pdl.cuh"
#include "vector.cuh"
#include "warpgroup.cuh"
#include "weight_fragments.cuh"

#if __CUDA_ARCH__ >= 1200
constexpr bool IS_SHORT_OF_REGISTERS = true;
#else
constexpr bool IS_SHORT_OF_REGISTERS = false;
#endif

constexpr int PARTS = 8;
constexpr int PART_PRODUCTS = GROUP_PRODUCTS / 2;  // of a panel

// A matrix with its bias, or some of its rows.
struct Linear {
    Matrix w;
    int num_rows;
    Vector bias;  // of the first of those rows on; or none
};

// Of the eight rows and eight tokens of a product's result, the row and the two tokens that this lane holds.
__device__ inline int row_of_lane() { return threadIdx.x % 32 / 4; }
__device__ inline int token_of_lane(int i) { return threadIdx.x % 4 * 2 + i; }

// Groups of K, and in a part; the last parts may have fewer or none.
struct Groups {
    int all, of_part;
    __device__ explicit Groups(long long num_columns)
        : all(static_cast<int>((num_columns + GROUP - 1) / GROUP)), of_part((all + PARTS - 1) / PARTS) {}
    __device__ int begin(int part) const { return min(part * of_part, all); }
};

// The blocks of sixteen rows that a lane holds: on their way, and ready to be multiplied.
template <Type EVEN, Type ODD>
struct FetchedRows {
    FetchedBlock<EVEN> even;
    FetchedBlock<ODD> odd;
};

template <Type EVEN, Type ODD>
struct RowFragments {
    WeightFragment<EVEN> even;
    WeightFragment<ODD> odd;

    __device__ void set(const FetchedRows<EVEN, ODD>& fetched) {
        fetched.even.prepare(even);
        fetched.odd.prepare(odd);
    }
    // The left operand of a product.
    __device__ void operand(unsigned (&w)[4], int product) const {
        even.pairs(product, w[0], w[2]);
        odd.pairs(product, w[1], w[3]);
    }
};

// Sixteen rows of W, those from `end` on replaced by the last one: what they give is nobody's.
template <Type EVEN, Type ODD>
struct SixteenRows {
    const Matrix& even;
    const Matrix& odd;
    int rows[2];  // of this lane

    __device__ SixteenRows(const Matrix& even_matrix, const Matrix& odd_matrix, int even_row, int odd_row, int end)
        : even(even_matrix), odd(odd_matrix),
          rows{min(even_row + row_of_lane(), end - 1), min(odd_row + row_of_lane(), end - 1)} {}

    __device__ void fetch(FetchedRows<EVEN, ODD>& fetched, int group) const {
        const int block = group * 4 + threadIdx.x % 4;
        fetched.even.load(even, rows[0], block);
        fetched.odd.load(odd, rows[1], block);
    }
};

// The right operands of a panel's product `product`, of the sixteen tokens that the panel's rows begin with.
__device__ inline void load_sixteen_tokens(unsigned (&tokens)[4], const unsigned short* panel, int product) {
    const int lane = threadIdx.x % 32, token = lane / 16 * 8 + lane % 8;
    const int place = token * PANEL + (lane / 8 % 2 ^ (token & 7)) * CHUNK;  // of product 0
    load_matrices(tokens, panel + (place ^ product * 2 * CHUNK));
}

template <Type EVEN, Type ODD, int TOKENS, int WARPS>
class ManyTile {
  public:
    static constexpr int TILES = TOKENS / 8;  // of eight tokens
    float sums[TILES][4];

    // Args: rows_of(0): the sixteen rows of this warp; x, first_token: of the block.
    template <typename RowsOf>
    __device__ void run(unsigned short* shared, RowsOf rows_of, int, const Panels& x, int first_token, int) {
        __shared__ unsigned long long full[MOST_SLOTS];
        Ring ring(shared, full);
        __syncthreads();
        const SixteenRows<EVEN, ODD> rows = rows_of(0);
        const Groups groups(x.num_columns);
        FetchedRows<EVEN, ODD> fetched;
        rows.fetch(fetched, 0);  // nobody writes weights: they need not wait for the kernel before this
        wait_for_previous();
        ring.start(x, 0, first_token, 2 * groups.all, TOKENS);
#pragma unroll
        for (int m = 0; m < TILES; ++m)
#pragma unroll
            for (int i = 0; i < 4; ++i) sums[m][i] = 0.0f;
        RowFragments<EVEN, ODD> fragments;
        unsigned w[2][PART_PRODUCTS][4] = {};
        float part[TILES][4];
        for (int group = 0, in_part = 0; group < groups.all; ++group) {
            if (IS_LATE && group > 0) rows.fetch(fetched, group);
            fragments.set(fetched);
#pragma unroll
            for (int half = 0; half < 2; ++half) {
#pragma unroll
                for (int product = 0; product < PART_PRODUCTS; ++product)
                    fragments.operand(w[half][product], half * PART_PRODUCTS + product);
                if (!IS_LATE && half == FETCHES_IN && group + 1 < groups.all) rows.fetch(fetched, group + 1);
                if (half == 0 && in_part == groups.of_part) {
                    add_part(part);
                    in_part = 0;
                }
                ring.begin_stage(2 * group + half);
                multiply(part, w[half], ring.slot(2 * group + half), half == 0 && in_part == 0);
                wait_for_products<1>();  // those of the panel before: its slot is free, and so are its weights
                if constexpr (BY_WARPGROUPS) keep_until_here(w[1 - half]);
            }
            ++in_part;
        }
        add_part(part);
        if constexpr (BY_WARPGROUPS) keep_until_here(w[1]);
    }

    // f(): `sums` and `each` are of all results of this warp.
    template <typename F>
    __device__ static void finish(F f) {
        f();
    }

    // f(k, r, m): of the k-th of TILES results of this warp, the sixteen rows r (0) and the eight tokens m.
    template <typename F>
    __device__ static void each(F f) {
#pragma unroll
        for (int m = 0; m < TILES; ++m) f(m, 0, m);
    }

  private:
    // Not dense weights: nothing is computed from them, and the registers that they are loaded to would be those that
    // products still read.
    static constexpr bool IS_DENSE = is_dense(EVEN) || is_dense(ODD);
    static constexpr bool BY_WARPGROUPS = HAS_WARPGROUPS && WARPS % 4 == 0 && !IS_DENSE;
    // When the next group's weights are fetched. Dense ones need the registers of those that are multiplied already; of
    // capability 12, the compiler does not even leave those.
    static constexpr bool IS_LATE = IS_DENSE && IS_SHORT_OF_REGISTERS;
    static constexpr int FETCHES_IN = IS_DENSE ? 1 : 0;  // half of a group
    // Products of warpgroups still read the panel before the one that begins.
    using Ring = PanelRing<TOKENS, 1, 6, 4, 32 * WARPS, true>;

    // Warpgroup products read registers after the instruction; the compiler must not give them to something else.
    __device__ static void keep_until_here(unsigned (&w)[PART_PRODUCTS][4]) {
#pragma unroll
        for (int product = 0; product < PART_PRODUCTS; ++product)
#pragma unroll
            for (int i = 0; i < 4; ++i) asm volatile("" : "+r"(w[product][i])::"memory");
    }

    __device__ void add_part(float (&part)[TILES][4]) {
        wait_for_products<0>();
#pragma unroll
        for (int m = 0; m < TILES; ++m)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                if constexpr (BY_WARPGROUPS) asm volatile("" : "+f"(part[m][i]));  // not read before the wait
                sums[m][i] += part[m][i];
            }
    }

    // While the tensor cores multiply a panel, this warp goes on to the next weights.
    __device__ static void multiply(float (&part)[TILES][4], const unsigned (&w)[PART_PRODUCTS][4],
                                    const unsigned short* panel, bool is_first) {
        if constexpr (BY_WARPGROUPS) {
            start_products();
#pragma unroll
            for (int product = 0; product < PART_PRODUCTS; ++product)
                warpgroup_product(part, w[product], matrix_descriptor(panel + product * 16), !is_first || product > 0);
            commit_products();
            return;
        }
        if (is_first) {
#pragma unroll
            for (int m = 0; m < TILES; ++m)
#pragma unroll
                for (int i = 0; i < 4; ++i) part[m][i] = 0.0f;
        }
#pragma unroll
        for (int product = 0; product < PART_PRODUCTS; ++product)
#pragma unroll
            for (int m = 0; m < TILES; m += 2) {
                unsigned tokens[4];
                load_sixteen_tokens(tokens, panel + 8 * m * PANEL, product);
                mma_bfloat16(part[m], w[product], tokens[0], tokens[1]);
                mma_bfloat16(part[m + 1], w[product], tokens[2], tokens[3]);
            }
    }
};

// Args: SHARERS: warps of a part.
template <Type EVEN, Type ODD, int SHARERS>
class FewTile {
  public:
    static constexpr int TOKENS = 16;
    static constexpr int TILES = 1;  // a warp finishes one result at a time, of sixteen rows and eight tokens
    float sums[TILES][4];

    // Args:
    //   rows_of(r): the r-th sixteen rows of the block; row_tiles: how many of those there are, at least SHARERS.
    //   x, first_token, num_tokens: of the block; what lies past the last token becomes nobody's result.
    template <typename RowsOf>
    __device__ void run(unsigned short* shared, RowsOf rows_of, int row_tiles, const Panels& x, int first_token,
                        int num_tokens) {
        __shared__ unsigned long long full[PARTS][MOST_SLOTS];
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, part = warp / SHARERS, first_tile = warp % SHARERS;
        Ring ring(shared + part * RING, full[part]);
        __syncthreads();
        const Groups groups(x.num_columns);
        const int begin = groups.begin(part), num_groups = groups.begin(part + 1) - begin;
        results_ = reinterpret_cast<float4*>(shared + PARTS * RING);
        num_results_ = 2 * row_tiles;
        num_parts_ = (groups.all + groups.of_part - 1) / groups.of_part;
        float4* const own = results_ + part * num_results_ * 32 + lane;
        for (int tile = first_tile; tile < row_tiles; tile += SHARERS)
            own[64 * tile] = own[64 * tile + 32] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        // A group's rows one after the other: a loop of few instructions.
        FetchedRows<EVEN, ODD> fetched[DEPTH];
        Walk ahead{first_tile, 0};
        const auto fetch = [&](FetchedRows<EVEN, ODD>& into) {
            if (ahead.group == num_groups) return;
            rows_of(ahead.tile).fetch(into, begin + ahead.group);
            ahead.advance(first_tile, row_tiles);
        };
#pragma unroll
        for (int i = 0; i < DEPTH; ++i) fetch(fetched[i]);  // nobody writes weights
        wait_for_previous();
        const bool has_more = num_tokens > 8;
        ring.start(x, 2 * begin, first_token, num_groups, has_more ? TOKENS : 8);
        Walk at{first_tile, 0};
#pragma unroll 1
        while (at.group < num_groups) {
#pragma unroll
            for (int i = 0; i < DEPTH; ++i) {
                if (at.group == num_groups) break;
                if (at.tile == first_tile) ring.begin_stage(at.group);
                RowFragments<EVEN, ODD> fragments;
                fragments.set(fetched[i]);
                if constexpr (COPIES) fetch(fetched[i]);
                multiply_group(own + 64 * at.tile, fragments, ring.slot(at.group), has_more);
                if constexpr (!COPIES) fetch(fetched[i]);
                at.advance(first_tile, row_tiles);
            }
        }
        __syncthreads();
    }

    // f() for each result that this warp finishes; meanwhile `sums` and `each` are of that one.
    template <typename F>
    __device__ void finish(F f) {
        for (result_ = threadIdx.x / 32; result_ < num_results_; result_ += PARTS * SHARERS) {
#pragma unroll
            for (int i = 0; i < 4; ++i) sums[0][i] = 0.0f;
            for (int part = 0; part < num_parts_; ++part) {
                const float4 of_part = results_[(part * num_results_ + result_) * 32 + threadIdx.x % 32];
                sums[0][0] += of_part.x;
                sums[0][1] += of_part.y;
                sums[0][2] += of_part.z;
                sums[0][3] += of_part.w;
            }
            f();
        }
    }

    template <typename F>
    __device__ void each(F f) const {
        f(0, result_ / 2, result_ % 2);
    }

  private:
    // Rows under way. Dense ones take twice the registers: the next arrive while a copy is multiplied, where even that fits.
    static constexpr int DEPTH = is_dense(EVEN) || is_dense(ODD) ? 1 : 2;
    static constexpr bool COPIES = DEPTH == 1;
    using Ring = PanelRing<TOKENS, 2, 2, 1, 32 * SHARERS, false>;
    static constexpr int RING = 2 * Ring::STAGE;

    float4* results_;  // [PARTS][num_results_][32 lanes]
    int num_results_, num_parts_, result_;

    // A warp's way through its rows of a group, group after group.
    struct Walk {
        int tile, group;
        __device__ void advance(int first_tile, int row_tiles) {
            tile += SHARERS;
            if (tile < row_tiles) return;
            tile = first_tile;
            ++group;
        }
    };

    // Onto the results of eight tokens and, where there are more, of the other eight.
    __device__ static void multiply_group(float4* results, const RowFragments<EVEN, ODD>& fragments,
                                          const unsigned short* panels, bool has_more) {
        float part[2][4];
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const float4 before = results[32 * n];
            part[n][0] = before.x, part[n][1] = before.y, part[n][2] = before.z, part[n][3] = before.w;
        }
#pragma unroll
        for (int product = 0; product < GROUP_PRODUCTS; ++product) {
            unsigned w[4], tokens[4];
            load_sixteen_tokens(tokens, panels + product / PART_PRODUCTS * TOKENS * PANEL, product % PART_PRODUCTS);
            fragments.operand(w, product);
            mma_bfloat16(part[0], w, tokens[0], tokens[1]);
            if (has_more) mma_bfloat16(part[1], w, tokens[2], tokens[3]);
        }
#pragma unroll
        for (int n = 0; n < 2; ++n) results[32 * n] = make_float4(part[n][0], part[n][1], part[n][2], part[n][3]);
    }
};

// What a block computes, as a kernel's parameter: the tile, and which sixteen rows are its own.
template <int TOKENS_, int WARPS>
struct Many {
    static constexpr int TOKENS = TOKENS_, THREADS = 32 * WARPS;
    template <Type EVEN, Type ODD>
    using Tile = ManyTile<EVEN, ODD, TOKENS, WARPS>;
    static constexpr bool IS_FEW = false;
    __device__ static int row_tile(int block, int, int) { return block * WARPS + threadIdx.x / 32; }
};

template <int SHARERS>
struct Few {
    static constexpr int TOKENS = 16, THREADS = 32 * PARTS * SHARERS;
    template <Type EVEN, Type ODD>
    using Tile = FewTile<EVEN, ODD, SHARERS>;
    static constexpr bool IS_FEW = true;
    __device__ static int row_tile(int block, int r, int row_tiles) { return block * row_tiles + r; }
};

// Blocks of a multiprocessor that the registers must suffice for. Of few tokens two where a block is small and they do, so
// that one computes while the other begins or ends.
template <typename S, Type FIRST, Type... TYPES>
constexpr int least_blocks() {
    return S::IS_FEW && S::THREADS <= 256 && !is_dense(FIRST) && !(is_dense(TYPES) || ...) ? 2 : 1;
}

// Store what each lane made of its row and its two tokens as activations: lanes of neighbouring rows exchange values, so
// that each has both rows of one token. All lanes of a warp take part.
// Args:
//   values: of this lane's row and its tokens 0 and 1.
//   column: that the row becomes: zero where it does not count, nothing past the last panel.
//   row(i): of y, for this lane's token i; negative where there is none.
template <typename Row>
__device__ inline void store_activations(const float (&values)[2], int column, const Panels& y, Row row) {
    const bool is_odd = column % 2, counts = column < y.num_columns;
    const float own[2] = {counts ? values[0] : 0.0f, counts ? values[1] : 0.0f};
    const float other = __shfl_xor_sync(0xffffffffu, is_odd ? own[0] : own[1], 4);
    const int target = row(is_odd);
    if (target < 0 || column >= y.num_panels() * PANEL) return;
    *y.pair(target, column & ~1) = is_odd ? floats_to_bf16x2(other, own[1]) : floats_to_bf16x2(own[0], other);
}
