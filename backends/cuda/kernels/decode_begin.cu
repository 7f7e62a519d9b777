// The start of a step: the new token's embedding, and the angles of its position.
// Grid: one block for the embedding and one for every kind of rotation.
#include "packed.cuh"
#include "pdl.cuh"

struct Rotation {
    const double* frequencies;  // [num_pairs] radians per position
    float2* out;                // [num_pairs] cosine and sine, times `magnitude`
    int num_pairs;
    float magnitude;
};

// Cosine and sine of position * frequency. The product is reduced in double: in float it would lose the angle
// at position 100,000.
__device__ inline float2 cosine_and_sine(int position, double frequency) {
    const double turns = position * frequency * 0.15915494309189535;
    const float part = static_cast<float>(2.0 * (turns - rint(turns)));  // of pi, in [-1, 1]
    float sine, cosine;
    sincospif(part, &sine, &cosine);
    return make_float2(cosine, sine);
}

constexpr int MOST_ROTATIONS = 4;

struct Rotations {
    Rotation of[MOST_ROTATIONS];
};

// P is the position embedding's type; its matrix is null where the model has none.
template <Type T, Type P>
__global__ void decode_begin(const int* token, const int* position, const Matrix embedding, const Matrix position_embedding,
                             const __grid_constant__ Rotations rotations, float* x) {
    let_next_start();
    wait_for_previous();
    if (blockIdx.x > 0) {
        const Rotation& rotation = rotations.of[blockIdx.x - 1];
        for (int i = threadIdx.x; i < rotation.num_pairs; i += blockDim.x) {
            const float2 turn = cosine_and_sine(__ldcg(position), rotation.frequencies[i]);
            rotation.out[i] = make_float2(turn.x * rotation.magnitude, turn.y * rotation.magnitude);
        }
        return;
    }
    const int cols = static_cast<int>(embedding.cols);
    for (int block = threadIdx.x; block < (cols + 31) / 32; block += blockDim.x) {
        float values[32], offsets[32];
        load_block<T>(embedding, __ldcg(token), block, values);
        if (position_embedding.quants != nullptr) load_block<P>(position_embedding, __ldcg(position), block, offsets);
#pragma unroll
        for (int i = 0; i < 32; ++i)
            if (32 * block + i < cols) x[32 * block + i] = values[i] + (position_embedding.quants != nullptr ? offsets[i] : 0.0f);
    }
}
