// The input vector of a matrix-vector product, brought into shared memory by every block for itself: normed and
// quantized there, which costs less than a kernel of its own. Letter: K = number of columns.
#pragma once
#include "int8_blocks.cuh"
#include "reduce.cuh"
#include "vector.cuh"

enum Source {
    FLOATS,      // [K] as they are
    RMS_NORM,    // [K], to be normed
    LAYER_NORM,  // likewise
    INT8_BLOCKS  // [K / 32], by the kernel that made them
};

struct Input {
    const void* x;  // [K] float or [K / 32] int8 blocks, written by an earlier kernel
    Vector weight;  // [K] of the norm
    Vector bias;    // [K] of a layer norm
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

// A thread holds 8 consecutive values a pass: elements 8 * (threadIdx.x + pass * THREADS) and on; 0 past the end.
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

    // From memory that an earlier kernel wrote: past the L1 cache.
    __device__ void load_written(const float* x) {
        if constexpr (COLS % 8 == 0) {
#pragma unroll
            for (int pass = 0; pass < PASSES; ++pass) {
                float4 low{}, high{};
                if (start(pass) < COLS) {
                    low = __ldcg(reinterpret_cast<const float4*>(x + start(pass)));
                    high = __ldcg(reinterpret_cast<const float4*>(x + start(pass) + 4));
                }
                put(pass, low, high);
            }
        } else {
            set([&](int pass, int i) { return __ldcg(x + start(pass) + i); });
        }
    }

    __device__ void load_constant(const Vector& vector) {
        if (COLS % 8 == 0 && vector.type == F32) {
            const float4* x = static_cast<const float4*>(vector.data);
#pragma unroll
            for (int pass = 0; pass < PASSES; ++pass) {
                float4 low{}, high{};
                if (start(pass) < COLS) {
                    low = __ldg(x + start(pass) / 4);
                    high = __ldg(x + start(pass) / 4 + 1);
                }
                put(pass, low, high);
            }
        } else {
            set([&](int pass, int i) { return element(vector, start(pass) + i); });
        }
    }

    template <class Term>
    __device__ float sum(Term term) const {
        float total = 0.0f;
#pragma unroll
        for (int pass = 0; pass < PASSES; ++pass)
#pragma unroll
            for (int i = 0; i < 8; ++i)
                if (COLS % (8 * THREADS) == 0 || start(pass) + i < COLS) total += term(v[pass][i]);
        return total;
    }

    __device__ void put(int pass, const float4& low, const float4& high) {
        const float values[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
        for (int i = 0; i < 8; ++i) v[pass][i] = values[i];
    }
};

// Int8 blocks on their way from global to shared memory: everything is loaded before anything is stored.
template <int COLS, int THREADS>
struct HeldBlocks {
    static constexpr int NUM_BLOCKS = COLS / 32;
    static constexpr int QUANT_PASSES = (2 * NUM_BLOCKS + THREADS - 1) / THREADS;
    static constexpr int SCALE_PASSES = (NUM_BLOCKS + THREADS - 1) / THREADS;
    int4 quants[QUANT_PASSES];  // the planes `low` and `high`, which follow each other
    float2 scale_sums[SCALE_PASSES];

    __device__ void load_written(const void* memory) {
        const Int8Blocks from = int8_blocks(const_cast<void*>(memory), NUM_BLOCKS);
#pragma unroll
        for (int pass = 0; pass < QUANT_PASSES; ++pass)
            if (at(pass) < 2 * NUM_BLOCKS) quants[pass] = __ldcg(from.low + at(pass));
#pragma unroll
        for (int pass = 0; pass < SCALE_PASSES; ++pass)
            if (at(pass) < NUM_BLOCKS) scale_sums[pass] = __ldcg(from.scale_sum + at(pass));
    }

    __device__ void store(const Int8Blocks& to) const {
#pragma unroll
        for (int pass = 0; pass < QUANT_PASSES; ++pass)
            if (at(pass) < 2 * NUM_BLOCKS) to.low[at(pass)] = quants[pass];
#pragma unroll
        for (int pass = 0; pass < SCALE_PASSES; ++pass)
            if (at(pass) < NUM_BLOCKS) to.scale_sum[at(pass)] = scale_sums[pass];
    }

    __device__ static int at(int pass) { return static_cast<int>(threadIdx.x) + pass * THREADS; }
};

template <bool IS_INT8, int COLS, int THREADS>
struct WrittenOf {
    using type = EightValues<COLS, THREADS>;
};
template <int COLS, int THREADS>
struct WrittenOf<true, COLS, THREADS> {
    using type = HeldBlocks<COLS, THREADS>;
};

// Makes the input of one block. What no kernel writes is loaded when it is constructed, the rest by `load`.
template <Source SOURCE, int COLS, int WARPS, bool WANTS_INT8, bool WANTS_FLOATS>
struct InputMaker {
    using Values = EightValues<COLS, 32 * WARPS>;
    using Written = typename WrittenOf<SOURCE == INT8_BLOCKS, COLS, 32 * WARPS>::type;
    const Input& in;
    Values weight, bias;

    __device__ explicit InputMaker(const Input& input) : in(input) {
        if constexpr (SOURCE == RMS_NORM || SOURCE == LAYER_NORM) weight.load_constant(in.weight);
        if constexpr (SOURCE == LAYER_NORM) bias.load_constant(in.bias);
    }

    // What an earlier kernel wrote. Between this and `prepare` other work hides the latency.
    __device__ Written load() const {
        Written x;
        x.load_written(static_cast<const float*>(in.x));
        return x;
    }

    __device__ SharedInput prepare(char* shared) const { return prepare(load(), shared); }

    // Fill shared memory of `shared_input_bytes`; the block is synchronised afterwards.
    __device__ SharedInput prepare(Written x, char* shared) const {
        if constexpr (SOURCE == INT8_BLOCKS) {
            static_assert(COLS % 32 == 0 && !WANTS_FLOATS);
            const Int8Blocks blocks = int8_blocks(shared, COLS / 32);
            x.store(blocks);
            __syncthreads();
            return {blocks, nullptr};
        } else {
            return prepare_values(x, shared);
        }
    }

private:
    __device__ SharedInput prepare_values(Values& x, char* shared) const {
        __shared__ float partial[WARPS];
        if constexpr (SOURCE == RMS_NORM) {
            const float squares = block_sum<WARPS>(x.sum([](float v) { return v * v; }), partial);
            const float factor = 1.0f / sqrtf(squares / COLS + in.eps);
            x.set([&](int pass, int i) { return x.v[pass][i] * factor * weight.v[pass][i]; });
        }
        if constexpr (SOURCE == LAYER_NORM) {
            const float mean = block_sum<WARPS>(x.sum([](float v) { return v; }), partial) / COLS;
            const float squares = block_sum<WARPS>(x.sum([=](float v) { return (v - mean) * (v - mean); }), partial);
            const float factor = 1.0f / sqrtf(squares / COLS + in.eps);
            x.set([&](int pass, int i) { return (x.v[pass][i] - mean) * factor * weight.v[pass][i] + bias.v[pass][i]; });
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
};
