// What a token weighs: exp((score - highest) / T), T the temperature: its probability but for their common sum.
//
// Every step is one correctly rounded float32 operation, and sums are integers: weights count in units of 2^-45.
// So the sums over 2^18 tokens fit 64 bits, no order of summation changes them, and the same logits give the
// same token on every device, whatever its number of blocks.
#pragma once

constexpr int ID_BITS = 18;  // the largest vocabulary has 2^18 tokens
constexpr float LARGEST_FLOAT = 3.402823466e38f;
constexpr float WEIGHT_UNITS = 35184372088832.0f;  // 2^45

// exp(x) for x <= 0, at most 1; what lies below 2^-44.7 is 0. Within 2 units in the last place elsewhere.
// Source: Cephes expf (Moshier): exp(x) = 2^n exp(r), |r| <= ln(2) / 2, ln(2) subtracted in two parts.
__device__ inline float exp_weight(float x) {
    if (!(x > -31.0f)) return 0.0f;
    const float n = rintf(__fmul_rn(x, 1.44269504f));
    const float r = fmaf(n, 2.12194440e-4f, fmaf(n, -0.693359375f, x));
    float p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    const float exp_r = __fadd_rn(fmaf(p, __fmul_rn(r, r), r), 1.0f);
    return __fmul_rn(exp_r, __uint_as_float((static_cast<int>(n) + 127) << 23));
}

__device__ inline unsigned long long in_units(float weight) { return __float2ull_rz(__fmul_rn(weight, WEIGHT_UNITS)); }

// Integers in the order of the floats; 0 and -0 are one, a NaN is above all.
__device__ inline unsigned int order_key(float score) {
    if (isnan(score)) return 0xffffffffu;
    const unsigned int bits = score == 0.0f ? 0 : __float_as_uint(score);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ inline float score_of_key(unsigned int key) {
    return __uint_as_float(key & 0x80000000u ? key ^ 0x80000000u : ~key);
}

// Rank of a token by a 32-bit key: 50 bits, no two alike, the lower id higher where keys tie.
__device__ inline unsigned long long rank_of(unsigned int key, int id) {
    return static_cast<unsigned long long>(key) << ID_BITS | ((1u << ID_BITS) - 1 - id);
}

// Weights are at most 1, so the two upper bits of theirs are 0: shifted out, they leave more for a radix digit.
__device__ inline unsigned int weight_key(float weight) { return __float_as_uint(weight) << 2; }
__device__ inline float weight_of_rank(unsigned long long rank) {
    return __uint_as_float(static_cast<unsigned int>(rank >> (ID_BITS + 2)));
}

// The model's scores after the repetition penalty.
struct TokenScores {
    const float* logits;        // [vocab_size]
    const unsigned char* seen;  // [vocab_size] 1 for ids generated before
    double positive_factor;  // of a seen token's logit, by its sign: the repetition penalty
    double negative_factor;

    // The penalty is applied in double: seen tokens are few, and the score is then rounded only once.
    __device__ float score(int id) const {
        const float logit = logits[id];
        if (negative_factor == 1.0 || !seen[id] || !isfinite(logit)) return logit;
        const float penalised = __double2float_rn(logit * (logit > 0.0f ? positive_factor : negative_factor));
        return fminf(fmaxf(penalised, -LARGEST_FLOAT), LARGEST_FLOAT);  // finite stays finite
    }
};

// Their weights. A token whose rank is below a bound weighs nothing.
struct TokenWeights {
    TokenScores scores;
    float highest;
    float inverse_temperature;
    unsigned long long least_score_rank = 0;
    unsigned long long least_weight_rank = 0;

    __device__ float weight(int id) const {
        const float score = scores.score(id);
        if (rank_of(order_key(score), id) < least_score_rank) return 0.0f;
        const float weight = exp_weight(__fmul_rn(__fsub_rn(score, highest), inverse_temperature));
        return rank_of(weight_key(weight), id) < least_weight_rank ? 0.0f : weight;
    }
};
