// Matrix instructions of a warpgroup, four warps in a row: capability 9.0 alone has them.
//
// D [64, N] = A [64, 16] @ B [16, N], added to what is there or not. Warp w of four holds rows 16w .. 16w + 15 of A and D, spread over its lanes as
// an m16n8k16 product's (tensor_core.cuh), D as N / 8 such results. B lies in shared memory: [N, 64] elements, 128
// bytes a row, chunks of 16 bytes permuted by `chunk ^ (row & 7)`; each instruction reads 16 of the 64 columns.
// From `start_products` until they are waited for, nothing may touch the registers of A and D.
// Source: PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions", with its matrix descriptor and 128-byte swizzle.
#pragma once
#include "tensor_core.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
constexpr bool HAS_WARPGROUPS = true;
#else
constexpr bool HAS_WARPGROUPS = false;
#endif

// Of B from `rows` on: its address, 1024 bytes from eight rows to the next eight, and the permutation.
__device__ inline unsigned long long matrix_descriptor(const void* rows) {
    constexpr unsigned long long EIGHT_ROWS = 1024 >> 4, SWIZZLE_128_BYTES = 1;
    return (shared_address(rows) >> 4 & 0x3fff) | 1ull << 16 | EIGHT_ROWS << 32 | SWIZZLE_128_BYTES << 62;
}

__device__ inline void start_products() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}

// Close a group of products.
__device__ inline void commit_products() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}

// Wait until at most `PENDING` of the latest groups are still under way.
template <int PENDING>
__device__ inline void wait_for_products() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
#endif
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define SUMS4(n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define SUMS8(n) SUMS4(n), SUMS4(n + 1)

__device__ inline void warpgroup_product(float (&d)[8][4], const unsigned (&a)[4], unsigned long long b, bool adds) {
    asm volatile(
        "{.reg .pred adds; setp.ne.b32 adds, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
        "}, {%32, %33, %34, %35}, %36, adds, 1, 1, 0;}"
        : SUMS8(0), SUMS8(2), SUMS8(4), SUMS8(6)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(adds)));
}

__device__ inline void warpgroup_product(float (&d)[16][4], const unsigned (&a)[4], unsigned long long b, bool adds) {
    asm volatile(
        "{.reg .pred adds; setp.ne.b32 adds, %69, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
        "}, {%64, %65, %66, %67}, %68, adds, 1, 1, 0;}"
        : SUMS8(0), SUMS8(2), SUMS8(4), SUMS8(6), SUMS8(8), SUMS8(10), SUMS8(12), SUMS8(14)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(adds)));
}

#undef SUMS8
#undef SUMS4
#else  // never called
template <int N>
__device__ inline void warpgroup_product(float (&)[N][4], const unsigned (&)[4], unsigned long long, bool) {}
#endif
