// The chosen experts of one token. Letters: K = columns, E = experts, A = active ones, F = intermediate_size,
// H = hidden_size. The choice is made from the router's logits by every block for itself.
#include "activations.cuh"
#include "matvec.cuh"
#include "pdl.cuh"

struct ExpertMatrix {
    Matrix matrix;       // [E * rows_an_expert, K]
    Vector bias;         // [E, rows_an_expert]
    int rows_an_expert;
};

// The ACTIVE largest of [num_experts] logits, ties to the lower index, and the softmax over those alone.
// The first warp chooses; the block is synchronised afterwards.
template <int ACTIVE>
__device__ void choose_experts(const float* logits, int num_experts, int (&experts)[ACTIVE], float (&shares)[ACTIVE]) {
    constexpr float TAKEN = -3.4e38f;
    __shared__ int chosen[ACTIVE];
    __shared__ float scores[ACTIVE];
    const int lane = threadIdx.x;
    if (lane < 32) {
        unsigned long long taken = 0;  // bit i: expert lane + 32 * i
        for (int slot = 0; slot < ACTIVE; ++slot) {
            float best = TAKEN;
            int best_id = num_experts;
            for (int i = 0; lane + 32 * i < num_experts; ++i) {
                const float logit = __ldcg(logits + lane + 32 * i);
                if (!(taken >> i & 1) && (best_id == num_experts || logit > best)) {
                    best = logit;
                    best_id = lane + 32 * i;
                }
            }
#pragma unroll
            for (int offset = 16; offset > 0; offset /= 2) {
                const float other = __shfl_xor_sync(ALL_LANES, best, offset);
                const int other_id = __shfl_xor_sync(ALL_LANES, best_id, offset);
                if (other_id < num_experts && (best_id == num_experts || other > best || (other == best && other_id < best_id))) {
                    best = other;
                    best_id = other_id;
                }
            }
            if (best_id % 32 == lane) taken |= 1ull << (best_id / 32);
            if (lane == 0) {
                chosen[slot] = min(best_id, num_experts - 1);
                scores[slot] = best;
            }
        }
    }
    __syncthreads();
    float total = 0.0f;
#pragma unroll
    for (int slot = 0; slot < ACTIVE; ++slot) {
        experts[slot] = chosen[slot];
        shares[slot] = __expf(scores[slot] - scores[0]);  // the first is the largest
        total += shares[slot];
    }
#pragma unroll
    for (int slot = 0; slot < ACTIVE; ++slot) shares[slot] /= total;
}

template <int ACTIVE>
__device__ inline int expert_in(const int (&experts)[ACTIVE], int slot) {
    int expert = experts[0];
#pragma unroll
    for (int i = 1; i < ACTIVE; ++i)
        if (slot == i) expert = experts[i];
    return expert;
}

// h[A, F]: the inside of every chosen expert.
template <Norm NORM, int COLS, Type A, Type B, int ACTIVE, int ROWS, int WARPS>
__global__ void __launch_bounds__(32 * WARPS) decode_experts_inside(
    const Input in, const float* router_logits, int num_experts, const ExpertMatrix gate, const ExpertMatrix up,
    float alpha, float limit, float* h) {
    extern __shared__ __align__(16) char shared[];
    const int lane = threadIdx.x % 32, size = gate.rows_an_expert;
    const int groups_an_expert = (size + ROWS - 1) / ROWS;
    const int total = ACTIVE * groups_an_expert, stride = gridDim.x * WARPS;
    int experts[ACTIVE];
    float shares[ACTIVE];

    let_next_start();
    wait_for_previous();
    constexpr bool INT8 = wants_int8(A) || wants_int8(B), FLOATS = !wants_int8(A) || !wants_int8(B);
    choose_experts<ACTIVE>(router_logits, num_experts, experts, shares);

    RowDots<A, COLS, ROWS> gate_dots;
    RowDots<B, COLS, ROWS> up_dots;
    const auto rows_of = [&](int group, long long(&numbers)[ROWS]) {
        const long long first = static_cast<long long>(expert_in(experts, group / groups_an_expert)) * size;
#pragma unroll
        for (int i = 0; i < ROWS; ++i) numbers[i] = first + min(group % groups_an_expert * ROWS + i, size - 1);
    };
    int group = blockIdx.x * WARPS + threadIdx.x / 32;
    long long numbers[ROWS];
    if (group < total) {
        rows_of(group, numbers);
        gate_dots.load(gate.matrix, numbers, 0);
        up_dots.load(up.matrix, numbers, 0);
    }
    const SharedInput x = prepare_input<NORM, COLS, WARPS, INT8, FLOATS>(in, shared);

    for (; group < total; group += stride) {
        long long next[ROWS];
        const bool has_next = group + stride < total;
        rows_of(group, numbers);
        rows_of(has_next ? group + stride : group, next);
        float gates[ROWS] = {}, ups[ROWS] = {};
        gate_dots.add(gates, gate.matrix, numbers, x, 0, [&] {
            if (has_next) gate_dots.load(gate.matrix, next, 0);
        });
        up_dots.add(ups, up.matrix, numbers, x, 0, [&] {
            if (has_next) up_dots.load(up.matrix, next, 0);
        });
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            const float g = warp_sum(gates[i]), u = warp_sum(ups[i]);
            const int row = group % groups_an_expert * ROWS + i;
            if (lane == i && row < size)
                h[group / groups_an_expert * size + row] =
                    clamped_swiglu(g + element_or(gate.bias, numbers[i], 0.0f), u + element_or(up.bias, numbers[i], 0.0f),
                                   alpha, limit);
        }
    }
}

// x[H] += sum over the chosen experts of share * (down @ h + bias), in the order they were chosen.
template <int COLS, Type T, int ACTIVE, int ROWS, int WARPS>
__global__ void __launch_bounds__(32 * WARPS) decode_experts_down(
    const float* h, const float* router_logits, int num_experts, const ExpertMatrix down, float* x) {
    extern __shared__ __align__(16) char shared[];
    constexpr int SLOT_BYTES = (shared_input_bytes(COLS, wants_int8(T), !wants_int8(T)) + 15) / 16 * 16;
    const int lane = threadIdx.x % 32, size = down.rows_an_expert;
    const int total = (size + ROWS - 1) / ROWS, stride = gridDim.x * WARPS;
    int experts[ACTIVE];
    float shares[ACTIVE];

    let_next_start();
    wait_for_previous();
    choose_experts<ACTIVE>(router_logits, num_experts, experts, shares);
    SharedInput inside[ACTIVE];
#pragma unroll
    for (int slot = 0; slot < ACTIVE; ++slot) {
        const Input in{h + slot * COLS, {}, {}, 0.0f};
        inside[slot] = prepare_input<NO_NORM, COLS, WARPS, wants_int8(T), !wants_int8(T)>(in, shared + slot * SLOT_BYTES);
    }

    for (int group = blockIdx.x * WARPS + threadIdx.x / 32; group < total; group += stride) {
        float sums[ROWS] = {};
#pragma unroll
        for (int slot = 0; slot < ACTIVE; ++slot) {
            RowDots<T, COLS, ROWS> dots;
            long long numbers[ROWS];
#pragma unroll
            for (int i = 0; i < ROWS; ++i)
                numbers[i] = static_cast<long long>(experts[slot]) * size + min(group * ROWS + i, size - 1);
            dots.load(down.matrix, numbers, 0);
            float dot[ROWS] = {};
            dots.add(dot, down.matrix, numbers, inside[slot], 0, [] {});
#pragma unroll
            for (int i = 0; i < ROWS; ++i) sums[i] += shares[slot] * (warp_sum(dot[i]) + element_or(down.bias, numbers[i], 0.0f));
        }
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            const int row = group * ROWS + i;
            if (lane == i && row < size) x[row] += sums[i];
        }
    }
}
