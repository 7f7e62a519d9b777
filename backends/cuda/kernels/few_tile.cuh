// A tile of 16 tokens, for the memory's sake: each part of K has warps of its own, which share what they read of X and take
// the block's rows in turn. See matmul_tile.cuh.
#pragma once
#include "panel_ring.cuh"
#include "pdl.cuh"
#include "tile_operands.cuh"

// Args: SHARERS: warps of a part. STAGES: of X, two panels each, that are on their way or in use.
template <Type EVEN, Type ODD, int SHARERS, int STAGES>
class FewTile {
  public:
    static constexpr int TOKENS = 16;
    static constexpr int TILES = 1;  // a warp finishes one result at a time, of sixteen rows and eight tokens
    float sums[TILES][4];

    // Args:
    //   rows_of(r): the r-th sixteen rows of the block; row_tiles: how many of those there are, at least SHARERS.
    //   x, first_token: of the block.
    //   count_tokens(): of the block, or more; what lies past the last one becomes nobody's result.
    template <typename RowsOf, typename CountTokens>
    __device__ void run(unsigned short* shared, RowsOf rows_of, int row_tiles, const Panels& x, int first_token,
                        CountTokens count_tokens) {
        __shared__ unsigned long long full[PARTS][MOST_SLOTS];
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, part = warp / SHARERS, first_tile = warp % SHARERS;
        Ring ring(shared + part * RING, full[part]);
        __syncthreads();
        const Groups groups(x.num_columns);
        const int begin = groups.begin(part), num_groups = groups.begin(part + 1) - begin;
        results_ = reinterpret_cast<float4*>(shared + PARTS * RING);
        num_results_ = 2 * row_tiles;
        float4* const own = results_ + part * num_results_ * 32 + lane;
        for (int tile = first_tile; tile < row_tiles; tile += SHARERS)
            own[64 * tile] = own[64 * tile + 32] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        // A group's rows one after the other: a loop of few instructions.
        FetchedRows<EVEN, ODD> fetched[DEPTH];
        Walk ahead{first_tile, 0};
        const auto fetch = [&](FetchedRows<EVEN, ODD>& into) {
            rows_of(ahead.tile).fetch(into, begin + ahead.group, ahead.group < num_groups);
            ahead.advance(first_tile, row_tiles);
        };
#pragma unroll
        for (int i = 0; i < DEPTH; ++i) fetch(fetched[i]);  // nobody writes weights
        const bool has_more = count_tokens() > 8;
        wait_for_previous();
        ring.start(x, 2 * begin, first_token, num_groups, has_more ? TOKENS : 8);
        Walk at{first_tile, 0};
#pragma unroll 1
        while (at.group < num_groups) {
#pragma unroll
            for (int i = 0; i < DEPTH; ++i) {
                if (at.group == num_groups) break;
                RowFragments<EVEN, ODD> fragments;
                fragments.set(fetched[i]);
                if constexpr (COPIES) fetch(fetched[i]);
                if (at.tile == first_tile) ring.begin_stage(at.group);
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
#pragma unroll
            for (int part = 0; part < PARTS; ++part) {
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
    // Rows under way. Dense ones take twice the registers: only the next arrive, while a copy is multiplied.
    static constexpr int DEPTH = is_dense(EVEN) || is_dense(ODD) ? 1 : 2;
    static constexpr bool COPIES = DEPTH == 1;
    using Ring = PanelRing<TOKENS, 2, STAGES, STAGES - 1, 32 * SHARERS, false>;
    static constexpr int RING = STAGES * Ring::STAGE;

    float4* results_;  // [PARTS][num_results_][32 lanes]
    int num_results_, result_;

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
