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

__device__ inline float element_or(const Vector& vector, long long index, float otherwise) {
    return vector.data == nullptr ? otherwise : element(vector, index);
}
