// The lesser and the greater of two, NaN if either is one. `fminf` and `fmaxf` return the other number then, and
// what went wrong in a layer would become an answer. Source: PTX ISA, `min` and `max` (.NaN needs sm_80).
#pragma once

__device__ __forceinline__ float min_or_nan(float a, float b) {
    float least;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(least) : "f"(a), "f"(b));
    return least;
}

__device__ __forceinline__ float max_or_nan(float a, float b) {
    float greatest;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(greatest) : "f"(a), "f"(b));
    return greatest;
}
