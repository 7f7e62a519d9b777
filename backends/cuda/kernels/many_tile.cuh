// A tile of many tokens, for the tensor cores' sake: each warp multiplies all of them with its own sixteen rows, part after
// part. See matmul_tile.cuh.
#pragma once
#include "panel_ring.cuh"
#include "pdl.cuh"
#include "tile_operands.cuh"
#include "warpgroup.cuh"

#if __CUDA_ARCH__ >= 1200
constexpr bool IS_SHORT_OF_REGISTERS = true;
#else
constexpr bool IS_SHORT_OF_REGISTERS = false;
#endif

template <Type EVEN, Type ODD, int TOKENS, int WARPS>
class ManyTile {
  public:
    static constexpr int TILES = TOKENS / 8;  // of eight tokens
    float sums[TILES][4];

    // Args: rows_of(0): the sixteen rows of this warp; x, first_token: of the block; count_tokens: called once.
    template <typename RowsOf, typename CountTokens>
    __device__ void run(unsigned short* shared, RowsOf rows_of, int, const Panels& x, int first_token,
                        CountTokens count_tokens) {
        __shared__ unsigned long long full[MOST_SLOTS];
        Ring ring(shared, full);
        __syncthreads();
        const SixteenRows<EVEN, ODD> rows = rows_of(0);
        const Groups groups(x.num_columns);
        FetchedRows<EVEN, ODD> fetched;
        rows.fetch(fetched, 0, true);  // nobody writes weights: they need not wait for the kernel before this
        count_tokens();
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
            if (IS_LATE) rows.fetch(fetched, group, group > 0);
            fragments.set(fetched);
#pragma unroll
            for (int half = 0; half < 2; ++half) {
#pragma unroll
                for (int product = 0; product < PART_PRODUCTS; ++product)
                    fragments.operand(w[half][product], half * PART_PRODUCTS + product);
                if (!IS_LATE && half == FETCHES_IN) rows.fetch(fetched, group + 1, group + 1 < groups.all);
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
