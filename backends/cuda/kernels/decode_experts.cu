// The chosen experts of one token. Letters: K = columns, E = experts, A = active ones, F = intermediate_size,
// H = hidden_size. The choice is made from the router's logits by every block for itself.
#include "activations.cuh"
#include "inside_store.cuh"
#include "matvec.cuh"
#include "pdl.cuh"

struct ExpertMatrix {
    Matrix matrix;       // [E * rows_an_expert, K]
    Vector bias;         // [E, rows_an_expert]
    int rows_an_expert;
};

// The ACTIVE largest of [EXPERTS] logits, ties to the lower index, and the softmax over those alone.
// The first warp chooses; the block is synchronised afterwards.
template <int EXPERTS, int ACTIVE>
__device__ void choose_experts(const float* logits, int (&experts)[ACTIVE], float (&shares)[ACTIVE]) {
    constexpr int A_LANE = (EXPERTS + 31) / 32;
    constexpr float NONE = -3.4e38f;
    __shared__ int chosen[ACTIVE];
    __shared__ float scores[ACTIVE];
    const int lane = threadIdx.x;
    if (lane < 32) {
        float mine[A_LANE];  // of experts lane, lane + 32, ...; NONE once taken
#pragma unroll
        for (int i = 0; i < A_LANE; ++i) mine[i] = lane + 32 * i < EXPERTS ? fmaxf(__ldcg(logits + lane + 32 * i), NONE) : NONE;
#pragma unroll
        for (int slot = 0; slot < ACTIVE; ++slot) {
            float best = NONE;
            int best_id = EXPERTS - 1;
#pragma unroll
            for (int i = A_LANE - 1; i >= 0; --i)
                if (mine[i] >= best) {
                    best = mine[i];
                    best_id = min(lane + 32 * i, EXPERTS - 1);
                }
#pragma unroll
            for (int offset = 16; offset > 0; offset /= 2) {
                const float other = __shfl_xor_sync(ALL_LANES, best, offset);
                const int other_id = __shfl_xor_sync(ALL_LANES, best_id, offset);
                if (other > best || (other == best && other_id < best_id)) {
                    best = other;
                    best_id = other_id;
                }
            }
#pragma unroll
            for (int i = 0; i < A_LANE; ++i)
                if (lane + 32 * i == best_id) mine[i] = NONE;
            if (lane == 0) {
                chosen[slot] = best_id;
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

// Of a vector as int8 blocks, so that the next one starts on 16 bytes.
__host__ __device__ constexpr int int8_bytes(int size) { return (size / 32 * 40 + 15) / 16 * 16; }

// h[A, F]: the inside of every chosen expert, as floats or as int8 blocks, expert after expert.
template <Source SOURCE, int COLS, Type A, Type B, int EXPERTS, int ACTIVE, int ROWS, bool AS_INT8, int WARPS>
__global__ void __launch_bounds__(32 * WARPS, 1) decode_experts_inside(
    const Input in, const float* router_logits, const ExpertMatrix gate, const ExpertMatrix up,
    float alpha, float limit, char* h) {
    extern __shared__ __align__(16) char shared[];
    __shared__ float buffer[2][ROWS * WARPS];
    InsideStore<AS_INT8, ROWS, WARPS> inside{buffer};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, size = gate.rows_an_expert;
    // As int8, the groups of a block of threads are all of one expert: its size is a multiple of 32.
    const int groups_an_expert = (size + ROWS - 1) / ROWS;
    const int total = ACTIVE * groups_an_expert, stride = gridDim.x * WARPS;
    const int bytes_an_expert = AS_INT8 ? int8_bytes(size) : size * 4;
    int experts[ACTIVE];
    float shares[ACTIVE];
    PairDots<A, B, COLS, ROWS> dots;
    const auto rows_of = [&](int group, long long(&numbers)[ROWS]) {  // a group past the end is the last once more
        group = min(group, total - 1);
        const long long first = static_cast<long long>(expert_in(experts, group / groups_an_expert)) * size;
#pragma unroll
        for (int i = 0; i < ROWS; ++i) numbers[i] = first + min(group % groups_an_expert * ROWS + i, size - 1);
    };

    let_next_start();
    constexpr bool INT8 = wants_int8(A) || wants_int8(B), DENSE = !wants_int8(A) || !wants_int8(B);
    const InputMaker<SOURCE, COLS, WARPS, INT8, DENSE> input(in);
    wait_for_previous();
    choose_experts<EXPERTS, ACTIVE>(router_logits, experts, shares);
    int base = blockIdx.x * WARPS;
    long long numbers[ROWS];
    if (base < total) {
        rows_of(base + warp, numbers);
        dots.load(gate.matrix, up.matrix, numbers);
    }
    const SharedInput x = input.prepare(shared);

    for (; base < total; base += stride) {  // the same for all warps of a block
        const int group = min(base + warp, total - 1);
        const bool has_next = base + stride < total;
        long long next[ROWS];
        rows_of(group, numbers);
        rows_of(base + warp + stride, next);
        float gates[ROWS] = {}, ups[ROWS] = {}, value = 0.0f;
        dots.add(gates, ups, gate.matrix, up.matrix, numbers, x, [&] {
            if (has_next) dots.load(gate.matrix, up.matrix, next);
        });
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            const float g = warp_sum(gates[i]), u = warp_sum(ups[i]);
            if (lane == i)
                value = clamped_swiglu(g + element_or(gate.bias, numbers[i], 0.0f),
                                       u + element_or(up.bias, numbers[i], 0.0f), alpha, limit);
        }
        char* of_expert = h + group / groups_an_expert * bytes_an_expert;
        inside.store(value, group % groups_an_expert * ROWS, size, of_expert);
    }
}

// x[H] += sum over the chosen experts of share * (down @ h + bias), in the order they were chosen.
// ACTIVE warps take the same rows, each of another expert.
template <Source SOURCE, int COLS, Type T, int EXPERTS, int ACTIVE, int ROWS, int GROUPS>
__global__ void __launch_bounds__(32 * GROUPS * ACTIVE, 1)
    decode_experts_down(const char* h, const float* router_logits, const ExpertMatrix down, float* x) {
    extern __shared__ __align__(16) char shared[];
    __shared__ float partial[GROUPS][ACTIVE][ROWS];
    constexpr int INPUT_BYTES = SOURCE == INT8_BLOCKS ? int8_bytes(COLS) : COLS * 4;
    constexpr int SLOT_BYTES = (shared_input_bytes(COLS, wants_int8(T), !wants_int8(T)) + 15) / 16 * 16;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, slot = warp % ACTIVE, size = down.rows_an_expert;
    const int total = (size + ROWS - 1) / ROWS, stride = gridDim.x * GROUPS;
    int experts[ACTIVE];
    float shares[ACTIVE];

    let_next_start();
    wait_for_previous();
    choose_experts<EXPERTS, ACTIVE>(router_logits, experts, shares);
    const long long first = static_cast<long long>(expert_in(experts, slot)) * size;
    RowDots<T, COLS, ROWS> dots;
    const auto rows_of = [&](int group, long long(&numbers)[ROWS]) {  // one past the end is the last once more
#pragma unroll
        for (int i = 0; i < ROWS; ++i) numbers[i] = first + min(group * ROWS + i, size - 1);
    };
    int base = blockIdx.x * GROUPS;
    long long numbers[ROWS];
    rows_of(base + warp / ACTIVE, numbers);
    dots.load(down.matrix, numbers, 0);
    SharedInput mine{};
#pragma unroll
    for (int i = 0; i < ACTIVE; ++i) {
        const Input in{h + i * INPUT_BYTES, {}, {}, 0.0f};
        const InputMaker<SOURCE, COLS, GROUPS * ACTIVE, wants_int8(T), !wants_int8(T)> input(in);
        const SharedInput inside = input.prepare(shared + i * SLOT_BYTES);
        if (i == slot) mine = inside;
    }

    for (; base < total; base += stride) {  // the same for all warps of a block
        const int group = base + warp / ACTIVE;
        rows_of(group, numbers);
        float sums[ROWS] = {};
        dots.add(sums, down.matrix, numbers, mine, 0, [&] {
            long long next[ROWS];
            rows_of(group + stride, next);
            if (base + stride < total) dots.load(down.matrix, next, 0);
        });
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            const float sum = warp_sum(sums[i]);
            if (lane == i) partial[warp / ACTIVE][slot][i] = sum + element_or(down.bias, numbers[i], 0.0f);
        }
        __syncthreads();
        const int row = group * ROWS + lane;
        if (slot == 0 && lane < ROWS && row < size) {
            float sum = 0.0f;
#pragma unroll
            for (int i = 0; i < ACTIVE; ++i) sum += shares[i] * partial[warp / ACTIVE][i][lane];
            x[row] = __ldcg(x + row) + sum;
        }
        __syncthreads();
    }
}
