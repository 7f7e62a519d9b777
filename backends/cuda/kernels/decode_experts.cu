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

// Integers in the order of the floats, above 0; -0 and 0 are one.
__device__ inline unsigned order_key(float logit) {
    const unsigned bits = __float_as_uint(logit + 0.0f);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ inline float logit_of_key(unsigned key) {
    return __uint_as_float(key & 0x80000000u ? key ^ 0x80000000u : ~key);
}

// The ACTIVE largest of [EXPERTS] logits, ties to the lower index, and the softmax over those alone.
// The first warp chooses; the block is synchronised afterwards.
template <int EXPERTS, int ACTIVE>
__device__ void choose_experts(const float* logits, int (&experts)[ACTIVE], float (&shares)[ACTIVE]) {
    constexpr int A_LANE = (EXPERTS + 31) / 32;
    constexpr float LEAST = -3.4e38f;  // what counts of a logit that is lower, or no number
    __shared__ int chosen[ACTIVE];
    __shared__ float scores[ACTIVE];
    const int lane = threadIdx.x;
    if (lane < 32) {
        unsigned mine[A_LANE];  // of experts lane, lane + 32, ...; 0 once taken
#pragma unroll
        for (int i = 0; i < A_LANE; ++i)
            mine[i] = lane + 32 * i < EXPERTS ? order_key(fmaxf(__ldcg(logits + lane + 32 * i), LEAST)) : 0;
#pragma unroll
        for (int slot = 0; slot < ACTIVE; ++slot) {
            unsigned best = 0, best_id = EXPERTS;
#pragma unroll
            for (int i = 0; i < A_LANE; ++i) best = max(best, mine[i]);
            best = __reduce_max_sync(ALL_LANES, best);
#pragma unroll
            for (int i = A_LANE - 1; i >= 0; --i)
                if (mine[i] == best) best_id = lane + 32 * i;
            best_id = __reduce_min_sync(ALL_LANES, best_id);
#pragma unroll
            for (int i = 0; i < A_LANE; ++i)
                if (lane + 32 * i == best_id) mine[i] = 0;
            if (lane == 0) {
                chosen[slot] = static_cast<int>(best_id);
                scores[slot] = logit_of_key(best);
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
template <Source SOURCE, int COLS, Type A, Type B, int EXPERTS, int ACTIVE, int ROWS, bool AS_INT8, int WARPS, int STAGES>
__global__ void __launch_bounds__(32 * WARPS, 1) decode_experts_inside(
    const Input in, const float* router_logits, const ExpertMatrix gate, const ExpertMatrix up,
    float alpha, float limit, char* h) {
    using Stage = PairStage<A, B, COLS, ROWS>;
    constexpr bool INT8 = wants_int8(A) || wants_int8(B), DENSE = !wants_int8(A) || !wants_int8(B);
    extern __shared__ __align__(16) char shared[];
    __shared__ float buffer[2][ROWS * WARPS];
    InsideStore<AS_INT8, ROWS, WARPS> inside{buffer};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, size = gate.rows_an_expert;
    // As int8, the groups of a block of threads are all of one expert: its size is a multiple of 32.
    const int groups_an_expert = num_groups<ROWS>(size);
    const int total = ACTIVE * groups_an_expert, stride = gridDim.x * WARPS;
    const int bytes_an_expert = AS_INT8 ? int8_bytes(size) : size * 4;
    int experts[ACTIVE];
    float shares[ACTIVE];
    // Which of the chosen experts a group is of; its first row within that one, and in all of them.
    const auto slot_of = [&](int group) {
        int slot = 0;
#pragma unroll
        for (int i = 1; i < ACTIVE; ++i) slot += group >= i * groups_an_expert;  // a division would take longer
        return slot;
    };
    const auto row_within = [&](int group) { return (group - slot_of(group) * groups_an_expert) * ROWS; };
    const auto row_of = [&](int group) {
        return static_cast<long long>(expert_in(experts, slot_of(group))) * size + row_within(group);
    };
    const auto locate = [&](int group) {
        return Stage::locate(gate.matrix, up.matrix, row_of(group), size - row_within(group));
    };
    const auto copy = [](SharedAddress slot, const PairSource& source, int turn) { Stage::copy(slot, source, turn); };

    const InputMaker<SOURCE, COLS, WARPS, INT8, DENSE> input(in);
    wait_for_previous();
    let_next_start();  // not before: the next kernel reads the router's logits when it starts
    const auto written = input.load();
    choose_experts<EXPERTS, ACTIVE>(router_logits, experts, shares);
    int base = blockIdx.x * WARPS;
    auto ring = start_ring<Stage::BYTES, STAGES>(
        shared + ring_offset(shared_input_bytes(COLS, INT8, DENSE)), base + warp, total, stride, locate, copy);
    const SharedInput x = input.prepare(written, shared);

    for (; base < total; base += stride) {  // the same for all warps of a block
        const int group = min(base + warp, total - 1), within = row_within(group);
        const long long row = row_of(group);
        const long long number = row + min(lane % ROWS, size - 1 - within);
        const float gate_bias = element_or(gate.bias, number, 0.0f);  // on their way during the arithmetic
        const float up_bias = element_or(up.bias, number, 0.0f);
        float gates[ROWS] = {}, ups[ROWS] = {};
        if (base + warp < total) Stage::add(gates, ups, ring, gate.matrix, up.matrix, row, x);
        const float g = warp_sum_of_each(gates) + gate_bias, u = warp_sum_of_each(ups) + up_bias;
        inside.store(clamped_swiglu(g, u, alpha, limit), within, size, h + slot_of(group) * bytes_an_expert);
    }
}

// x[H] += sum over the chosen experts of share * (down @ h + bias), in the order they were chosen.
// ACTIVE warps take the same rows, each of another expert. The kernel before lets this one start when the router's
// logits are written: the weights of the chosen experts need no further waiting.
template <Source SOURCE, int COLS, Type T, int EXPERTS, int ACTIVE, int ROWS, int GROUPS, int STAGES>
__global__ void __launch_bounds__(32 * GROUPS * ACTIVE, 1)
    decode_experts_down(const char* h, const float* router_logits, const ExpertMatrix down, float* x) {
    using Stage = RowStage<T, COLS, ROWS>;
    using Maker = InputMaker<SOURCE, COLS, GROUPS * ACTIVE, wants_int8(T), !wants_int8(T)>;
    extern __shared__ __align__(16) char shared[];
    __shared__ float partial[2][GROUPS][ACTIVE][ROWS];
    constexpr int INPUT_BYTES = SOURCE == INT8_BLOCKS ? int8_bytes(COLS) : COLS * 4;
    constexpr int SLOT_BYTES = ring_offset(shared_input_bytes(COLS, wants_int8(T), !wants_int8(T)));
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, slot = warp % ACTIVE, size = down.rows_an_expert;
    const int total = num_groups<ROWS>(size), stride = gridDim.x * GROUPS;
    int experts[ACTIVE];
    float shares[ACTIVE];

    let_next_start();
    choose_experts<EXPERTS, ACTIVE>(router_logits, experts, shares);
    const long long first = static_cast<long long>(expert_in(experts, slot)) * size;
    const auto locate = [&](int group) { return Stage::locate(down.matrix, first + group * ROWS, size - group * ROWS); };
    const auto copy = [](SharedAddress stage, const RowSource& source, int turn) { Stage::copy(stage, source, turn); };
    int base = blockIdx.x, parity = 0;  // the block's first group; the others are gridDim.x apart
    auto ring = start_ring<Stage::BYTES, STAGES>(
        shared + ACTIVE * SLOT_BYTES, base + warp / ACTIVE * gridDim.x, total, stride, locate, copy);
    wait_for_previous();
    typename Maker::Written written[ACTIVE];
#pragma unroll
    for (int i = 0; i < ACTIVE; ++i) written[i] = Maker({h + i * INPUT_BYTES, {}, {}, 0.0f}).load();
    SharedInput mine{};
#pragma unroll
    for (int i = 0; i < ACTIVE; ++i) {
        const SharedInput inside = Maker({h, {}, {}, 0.0f}).prepare(written[i], shared + i * SLOT_BYTES);
        if (i == slot) mine = inside;
    }

    for (; base < total; base += stride, parity ^= 1) {  // the same for all warps of a block
        const int group = base + warp / ACTIVE * static_cast<int>(gridDim.x), row = group * ROWS + lane;
        const bool exists = lane < ROWS && row < size, stores = exists && slot == 0;
        const float bias = exists ? element_or(down.bias, first + row, 0.0f) : 0.0f;
        const float before = stores ? __ldcg(x + row) : 0.0f;
        float sums[ROWS] = {};
        if (group < total) add_rows<Stage>(sums, ring, down.matrix, first + group * ROWS, mine);
        const float value = warp_sum_of_each(sums);
        if (lane < ROWS) partial[parity][warp / ACTIVE][slot][lane] = value + bias;
        __syncthreads();  // once a turn of the loop: the next one writes the other half of `partial`
        if (!stores) continue;
        float sum = 0.0f;
#pragma unroll
        for (int i = 0; i < ACTIVE; ++i) sum += shares[i] * partial[parity][warp / ACTIVE][i][lane];
        x[row] = before + sum;
    }
}
