// Philox4x64-10, a counter-based random generator: a draw depends on (seed, step) and on nothing else.
// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3.
#pragma once

// The upper 53 bits of the first word of block (step + 1, 0, 0, 0) under the key (seed, 0): as a fraction of
// 2^53 the draw of `domain.sampling.uniform`.
__device__ inline unsigned long long uniform_bits(unsigned long long seed, unsigned long long step) {
    unsigned long long x0 = step + 1, x1 = 0, x2 = 0, x3 = 0, key0 = seed, key1 = 0;
#pragma unroll 1  // one thread runs it once: short code beats unrolled
    for (int round = 0; round < 10; ++round) {
        const unsigned long long high0 = __umul64hi(0xD2E7470EE14C6C93ull, x0), low0 = 0xD2E7470EE14C6C93ull * x0;
        const unsigned long long high2 = __umul64hi(0xCA5A826395121157ull, x2), low2 = 0xCA5A826395121157ull * x2;
        x0 = high2 ^ x1 ^ key0;
        x1 = low2;
        x2 = high0 ^ x3 ^ key1;
        x3 = low0;
        key0 += 0x9E3779B97F4A7C15ull;
        key1 += 0xBB67AE8584CAA73Bull;
    }
    return x0 >> 11;
}
