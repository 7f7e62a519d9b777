// Conversions between float and the two 16-bit formats, which travel as plain unsigned integers.
//
//   f16   IEEE binary16: 1 sign, 5 exponent, 10 mantissa bits; beyond 65504 it is infinite
//   bf16  the upper half of a float: 1 sign, 8 exponent, 7 mantissa bits
//
// Towards float they are exact, from float they round to nearest even. A pair holds its first element in the
// low 16 bits, as memory does. Source: PTX ISA, `cvt` (f16x2 and bf16x2 need sm_80).
#pragma once

__device__ __forceinline__ float f16_to_float(unsigned short bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

__device__ __forceinline__ unsigned short float_to_f16(float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

__device__ __forceinline__ float2 f16x2_to_floats(unsigned int pair) {
    return make_float2(f16_to_float((unsigned short)pair), f16_to_float((unsigned short)(pair >> 16)));
}

__device__ __forceinline__ unsigned int floats_to_f16x2(float first, float second) {
    unsigned int pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));  // the upper half comes first
    return pair;
}

__device__ __forceinline__ float bf16_to_float(unsigned short bits) {
    return __uint_as_float((unsigned int)bits << 16);
}

__device__ __forceinline__ float2 bf16x2_to_floats(unsigned int pair) {
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

__device__ __forceinline__ unsigned int floats_to_bf16x2(float first, float second) {
    unsigned int pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}

// Rounded once; subnormal numbers count. Before capability 9.0 there is no instruction that only multiplies.
__device__ __forceinline__ unsigned int multiply_bf16x2(unsigned int a, unsigned int b) {
    unsigned int product;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(product) : "r"(a), "r"(b), "r"(0x80008000u));  // -0 changes nothing
    return product;
}
