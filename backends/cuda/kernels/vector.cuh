// One-dimensional tensors (norm weights, biases), as they are stored.
#pragma once
#include "half.cuh"
#include "packed.cuh"

// `data` is null where the model has none.
struct Vector {
    const void* data;
    int type;  // F32, F16 or BF16
};

__device__ inline float element(const Vector& vector, long long index) {
    if (vector.type == F32) return static_cast<const float*>(vector.data)[index];
    const unsigned short bits = static_cast<const unsigned short*>(vector.data)[index];
    return vector.type == F16 ? f16_to_float(bits) : bf16_to_float(bits);
}

// Bring the first `count` elements into the L2 cache. All threads of the block take part.
__device__ inline void prefetch(const Vector& vector, int count) {
    constexpr int LINE_BYTES = 128;
    const int size_bytes = count * (vector.type == F32 ? 4 : 2);
    for (int at = threadIdx.x * LINE_BYTES; at < size_bytes; at += blockDim.x * LINE_BYTES)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(static_cast<const char*>(vector.data) + at));
}

__device__ inline float element_or(const Vector& vector, long long index, float otherwise) {
    return vector.data == nullptr ? otherwise : element(vector, index);
}
