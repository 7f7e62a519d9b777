// The input vector of a matrix-vector product: every block norms and quantizes it for itself in shared memory,
// which costs less than a kernel of its own. Letter: K = number of columns.
#pragma once
#include "int8_blocks.cuh"
#include "reduce.cuh"
#include "vector.cuh"

enum Norm { NO_NORM, RMS_NORM, LAYER_NORM };

struct Input {
    const float* x;  // [K], written by an earlier kernel
    Vector weight;   // [K] of the norm
    Vector bias;     // [K] of a layer norm
    float eps;
};

// In shared memory, in the form that the type of the weights asks for; the other is empty.
struct SharedInput {
    Int8Blocks blocks;    // [K / 32] for quantized weights
    const float* values;  // [K] for dense ones
};

__host__ __device__ constexpr int shared_input_bytes(int cols, bool wants_int8, bool wants_floats) {
    return (wants_int8 ? cols / 32 * 40 : 0) + (wants_floats ? (cols + 3) / 4 * 16 : 0);
}

// A thread holds 8 consecutive values a pass: elements 8 * (threadIdx.x + pass * THREADS) and on.
template <int COLS, int THREADS>
struct EightValues {
    static constexpr int PASSES = (COLS + 8 * THREADS - 1) / (8 * THREADS);
    float v[PASSES][8];

    __device__ static int start(int pass) { return 8 * (static_cast<int>(threadIdx.x) + pass * THREADS); }

    template <class Get>
    __device__ void set(Get get) {
#pragma unroll
        for (int pass = 0; pass < PASSES; ++pass)
#pragma unroll
            for (int i = 0; i < 8; ++i) v[pass][i] = start(pass) + i < COLS ? get(pass, i) : 0.0f;
    }

    template <class Term>
    __device__ float sum(Term term) const {
        float total = 0.0f;
#pragma unroll
        for (int pass = 0; pass < PASSES; ++pass)
#pragma unroll
            for (int i = 0; i < 8; ++i)
                if (start(pass) + i < COLS) total += term(v[pass][i]);
        return total;
    }
};

// Fill shared memory of `shared_input_bytes`; the block is synchronised afterwards.
template <Norm NORM, int COLS, int WARPS, bool WANTS_INT8, bool WANTS_FLOATS>
__device__ SharedInput prepare_input(const Input& in, char* shared) {
    __shared__ float partial[WARPS];
    using Values = EightValues<COLS, 32 * WARPS>;
    Values x;
    x.set([&](int pass, int i) { return __ldcg(in.x + Values::start(pass) + i); });
    if constexpr (NORM == RMS_NORM) {
        const float squares = block_sum<WARPS>(x.sum([](float v) { return v * v; }), partial);
        const float factor = 1.0f / sqrtf(squares / COLS + in.eps);
        x.set([&](int pass, int i) { return x.v[pass][i] * factor * element(in.weight, Values::start(pass) + i); });
    }
    if constexpr (NORM == LAYER_NORM) {
        const float mean = block_sum<WARPS>(x.sum([](float v) { return v; }), partial) / COLS;
        const float squares = block_sum<WARPS>(x.sum([=](float v) { return (v - mean) * (v - mean); }), partial);
        const float factor = 1.0f / sqrtf(squares / COLS + in.eps);
        x.set([&](int pass, int i) {
            const int at = Values::start(pass) + i;
            return (x.v[pass][i] - mean) * factor * element(in.weight, at) + element(in.bias, at);
        });
    }
    SharedInput out{};
    if constexpr (WANTS_INT8) {
        out.blocks = int8_blocks(shared, COLS / 32);
        shared += COLS / 32 * 40;
#pragma unroll
        for (int pass = 0; pass < Values::PASSES; ++pass) {
            // Four threads make a block; a quartet is inside the vector or beyond it as a whole.
            const bool is_inside = Values::start(pass) < COLS;
            const unsigned mask = __ballot_sync(ALL_LANES, is_inside);
            if (is_inside)
                quantize_int8_block(out.blocks, Values::start(pass) / 32, threadIdx.x % 4, x.v[pass], mask);
        }
    }
    if constexpr (WANTS_FLOATS) {
        float* values = reinterpret_cast<float*>(shared);
        out.values = values;
#pragma unroll
        for (int pass = 0; pass < Values::PASSES; ++pass)
#pragma unroll
            for (int i = 0; i < 8; ++i)
                if (Values::start(pass) + i < COLS) values[Values::start(pass) + i] = x.v[pass][i];
    }
    __syncthreads();
    return out;
}
