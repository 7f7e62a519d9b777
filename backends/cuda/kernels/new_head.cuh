// The query, key or value of a new position: what lies between its product and its use.
#pragma once
#include "attention_args.cuh"
#include "reduce.cuh"
#include "vector.cuh"

// One warp: a new head, normed, turned and scaled. A lane holds pairs of elements, those that turn together.
template <int D>
struct NewHead {
    static constexpr int PAIRS = D / 2, PASSES = (PAIRS + 31) / 32;
    int num_turned, at_a[PASSES], at_b[PASSES];
    bool is_normed;
    float a[PASSES], b[PASSES], weight_a[PASSES], weight_b[PASSES];
    float2 turn[PASSES];

    // Loads what no kernel writes.
    __device__ void prepare(const AttentionArgs& args, const Vector& norm, bool turns) {
        num_turned = turns && args.rotation != nullptr ? args.rotary_dim / 2 : 0;
        is_normed = norm.data != nullptr;
#pragma unroll
        for (int pass = 0; pass < PASSES; ++pass) {
            const int pair = lane_pair(pass);
            const bool is_apart = pair < num_turned && !args.is_adjacent;  // (i, i + rotary_dim / 2)
            at_a[pass] = is_apart ? pair : 2 * pair;
            at_b[pass] = is_apart ? pair + num_turned : 2 * pair + 1;
            weight_a[pass] = is_normed && pair < PAIRS ? element(norm, at_a[pass]) : 1.0f;
            weight_b[pass] = is_normed && pair < PAIRS ? element(norm, at_b[pass]) : 1.0f;
        }
    }

    __device__ void load(const float* from, const float2* rotation) {
#pragma unroll
        for (int pass = 0; pass < PASSES; ++pass) {
            const int pair = lane_pair(pass);
            a[pass] = pair < PAIRS ? __ldcg(from + at_a[pass]) : 0.0f;
            b[pass] = pair < PAIRS ? __ldcg(from + at_b[pass]) : 0.0f;
            turn[pass] = pair < num_turned ? __ldcg(rotation + pair) : make_float2(1.0f, 0.0f);
        }
    }

    // store(i, x) puts element i where it belongs.
    template <class Store>
    __device__ void finish(float eps, float scale, Store store) const {
        float squares = 0.0f;
#pragma unroll
        for (int pass = 0; pass < PASSES; ++pass) squares += a[pass] * a[pass] + b[pass] * b[pass];
        const float factor = is_normed ? 1.0f / sqrtf(warp_sum(squares) / D + eps) : 1.0f;
#pragma unroll
        for (int pass = 0; pass < PASSES; ++pass) {
            if (lane_pair(pass) >= PAIRS) continue;
            const float x = a[pass] * factor * weight_a[pass], y = b[pass] * factor * weight_b[pass];
            store(at_a[pass], (x * turn[pass].x - y * turn[pass].y) * scale);
            store(at_b[pass], (x * turn[pass].y + y * turn[pass].x) * scale);
        }
    }

private:
    __device__ static int lane_pair(int pass) { return static_cast<int>(threadIdx.x) % 32 + 32 * pass; }
};
