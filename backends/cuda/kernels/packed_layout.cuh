// Packed weights: the bits of the file, regrouped into planes, so that a thread finds a sub-block of 32
// consecutive elements of a row in one 16-byte access and a few small ones.
//
// A tensor has `rows` rows of `cols` elements, nb = cols / 32 sub-blocks a row (an expert tensor [E, out, in]
// has E * out rows). Its planes follow each other without gaps, rows and sub-blocks in order within each:
//
//   quants  16 B a sub-block: byte j = low 4 bits of element j, its high nibble = those of element j + 16
//           Q8_0: per row nb x 16 B (elements 0..15 of every sub-block), then nb x 16 B (elements 16..31)
//   super   Q4_K, Q5_K: 16 B per 256 elements: f16 d, f16 dmin, then 96 bits: sub-block s has its 6-bit scale
//           at bit 12*s, its 6-bit minimum at bit 12*s + 6
//   high    Q5_0, Q5_1, Q5_K: 4 B a sub-block: bit 8*b + k = fifth bit of element 4*k + b
//           Q6_K: 8 B a sub-block: word w, bits 8*b + 2*k .. + 1 = bits 4 and 5 of element 16*w + 4*k + b
//   scales  Q4_0, Q5_0, Q8_0: f16 d; Q4_1, Q5_1: f16 d, f16 m; MXFP4: the exponent, 1 B; Q6_K: 2 x int8
//   super   Q6_K: f16 d per 256 elements
//
// F32, F16 and BF16 stay as they are, in `quants`. backends/cuda/packed.py computes the planes' addresses.
#pragma once

// The numbers of GGUF. Source: ggml.h `enum ggml_type`.
enum Type {
    F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8,
    Q4_K = 12, Q5_K = 13, Q6_K = 14, BF16 = 30, MXFP4 = 39,
};

struct Matrix {
    const unsigned char* quants;
    const unsigned char* super;
    const unsigned char* high;
    const unsigned char* scales;
    long long cols;
};

__host__ __device__ constexpr bool is_dense(Type type) { return type == F32 || type == F16 || type == BF16; }
__host__ __device__ constexpr bool has_fifth_bit(Type type) {
    return type == Q5_0 || type == Q5_1 || type == Q5_K;
}
__host__ __device__ constexpr bool has_super_block(Type type) { return type == Q4_K || type == Q5_K; }
// What is subtracted from a stored quant before it is scaled.
__host__ __device__ constexpr int zero_point(Type type) {
    return type == Q4_0 ? 8 : type == Q5_0 ? 16 : type == Q6_K ? 32 : 0;
}
// Whether a constant is added after scaling.
__host__ __device__ constexpr bool has_bias(Type type) {
    return type == Q4_1 || type == Q5_1 || has_super_block(type);
}

// A sub-block in registers, as it is stored. What a type does not have is never set and costs nothing.
template <Type T>
struct Packed {
    uint4 quants;
    uint4 upper;         // Q8_0: elements 16..31
    uint4 super;         // Q4_K, Q5_K
    uint2 high;          // the fifth bits in x; Q6_K: both words
    unsigned int scales;
    unsigned int super_scale;  // Q6_K: f16
    int index;           // Q4_K, Q5_K: of the sub-block in its super-block
};

// Weights are read once: they bypass the L1 cache. Volatile, so that loads stay before the arithmetic that
// the caller put behind them.
__device__ __forceinline__ uint4 load_streaming(const void* address) {
    uint4 value;
    asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "l"(address));
    return value;
}

// Brings the parts of a sub-block: those that one lane alone reads, and those that neighbours read as well.
struct PartLoader {
    __device__ void load_own(uint4& part, const uint4* from) const { part = load_streaming(from); }
    template <typename Part, typename Stored>
    __device__ void load_shared(Part& part, const Stored* from) const {
        part = __ldg(from);
    }
};

// The same where `is_wanted`; else parts stay as they are. By predicate: after a branch, a part would be moved to where
// both ways have it, and the thread would wait for it there. Not as constants (`nc`): ptxas put such loads,
// once no branch held them, behind `wait_for_previous`. Nothing more into L2 than is asked for: of a matrix that is larger than L2
// and read a few columns of every row at a time, what came early would be gone when its turn comes.
struct WantedPartLoader {
    bool is_wanted;

    __device__ void load_own(uint4& part, const uint4* from) const {
        asm volatile("{.reg .pred wanted; setp.ne.u32 wanted, %4, 0;\n"
                     "@wanted ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%5];}"
                     : "+r"(part.x), "+r"(part.y), "+r"(part.z), "+r"(part.w)
                     : "r"(static_cast<unsigned>(is_wanted)), "l"(from));
    }
    __device__ void load_shared(uint4& part, const uint4* from) const {
        asm volatile("{.reg .pred wanted; setp.ne.u32 wanted, %4, 0;\n"
                     "@wanted ld.global.v4.u32 {%0, %1, %2, %3}, [%5];}"
                     : "+r"(part.x), "+r"(part.y), "+r"(part.z), "+r"(part.w)
                     : "r"(static_cast<unsigned>(is_wanted)), "l"(from));
    }
    __device__ void load_shared(uint2& part, const uint2* from) const {
        asm volatile("{.reg .pred wanted; setp.ne.u32 wanted, %2, 0;\n"
                     "@wanted ld.global.v2.u32 {%0, %1}, [%3];}"
                     : "+r"(part.x), "+r"(part.y)
                     : "r"(static_cast<unsigned>(is_wanted)), "l"(from));
    }
    __device__ void load_shared(unsigned int& part, const unsigned int* from) const {
        asm volatile("{.reg .pred wanted; setp.ne.u32 wanted, %1, 0;\n"
                     "@wanted ld.global.u32 %0, [%2];}"
                     : "+r"(part)
                     : "r"(static_cast<unsigned>(is_wanted)), "l"(from));
    }
    __device__ void load_shared(unsigned int& part, const unsigned short* from) const {
        asm volatile("{.reg .pred wanted; setp.ne.u32 wanted, %1, 0;\n"
                     "@wanted ld.global.u16 %0, [%2];}"
                     : "+r"(part)
                     : "r"(static_cast<unsigned>(is_wanted)), "l"(from));
    }
    __device__ void load_shared(unsigned int& part, const unsigned char* from) const {
        asm volatile("{.reg .pred wanted; setp.ne.u32 wanted, %1, 0;\n"
                     "@wanted ld.global.u8 %0, [%2];}"
                     : "+r"(part)
                     : "r"(static_cast<unsigned>(is_wanted)), "l"(from));
    }
};

// Loads sub-block `block` of the row whose first one is `first`, counted through the matrix; computes nothing, so that
// several can be under way. No matrix has 2^31 sub-blocks.
template <Type T, typename Loader>
__device__ __forceinline__ void load_parts(Packed<T>& p, const Matrix& w, unsigned first, unsigned block,
                                           const Loader& loader) {
    static_assert(!is_dense(T), "only quantized matrices are packed");
    const unsigned at = first + block;
    const uint4* const quants = (const uint4*)w.quants + (T == Q8_0 ? first + at : at);
    loader.load_own(p.quants, quants);
    if constexpr (T == Q8_0) loader.load_own(p.upper, quants + (w.cols >> 5));
    if constexpr (has_fifth_bit(T)) loader.load_shared(p.high.x, (const unsigned int*)w.high + at);
    if constexpr (has_super_block(T)) {
        loader.load_shared(p.super, (const uint4*)w.super + (at >> 3));
        p.index = block & 7;
    } else if constexpr (T == Q6_K) {
        loader.load_shared(p.high, (const uint2*)w.high + at);
        loader.load_shared(p.scales, (const unsigned short*)w.scales + at);
        loader.load_shared(p.super_scale, (const unsigned short*)w.super + (at >> 3));
    } else if constexpr (T == Q4_1 || T == Q5_1) {
        loader.load_shared(p.scales, (const unsigned int*)w.scales + at);
    } else if constexpr (T == MXFP4) {
        loader.load_shared(p.scales, w.scales + at);
    } else {
        loader.load_shared(p.scales, (const unsigned short*)w.scales + at);
    }
}

template <Type T>
__device__ __forceinline__ Packed<T> load_packed(const Matrix& w, long long row, int block) {
    Packed<T> p;
    load_parts<T>(p, w, static_cast<unsigned>(row * (w.cols >> 5)), block, PartLoader{});
    return p;
}
