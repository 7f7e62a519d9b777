// A warp's stream of weights: copied to shared memory some turns ahead of the arithmetic, without a register held.
//
// Weights depend on no kernel, so the stream starts before the input is there, while the kernel before still runs;
// and it goes on from one group of rows to the next. How much is under way is what keeps the memory busy: at
// 4.5 TB/s and 0.8 us of latency an H200 wants some 30 KB a multiprocessor.
// Source: PTX ISA, "cp.async": a thread sees its own copies when it has waited, other lanes' after a __syncwarp.
#pragma once
#include "async_copy.cuh"

// Groups of rows first, first + stride, .. below `total`, each in one or more turns; a turn fills a slot.
//   SLOT_BYTES  of a turn, a multiple of 16
//   STAGES      slots of a warp: all but one are under way while that one is read
//   Locate      locate(group) says where a group's weights lie, and in `num_turns` how many turns they take
//   Copy        copy(slot, located, turn) starts a turn's copies
template <int SLOT_BYTES, int STAGES, class Locate, class Copy>
class WeightRing {
    static_assert(SLOT_BYTES % 16 == 0 && STAGES >= 2);

public:
    // `memory` holds STAGES * SLOT_BYTES for every warp of the block.
    __device__ WeightRing(char* memory, int first, int total, int stride, Locate locate, Copy copy)
        : slots(memory + threadIdx.x / 32 * (STAGES * SLOT_BYTES)), address(hold_address(slots)), group(first), total(total),
          stride(stride), locate(locate), copy(copy) {
        if (group < total) source = locate(group);
#pragma unroll 1
        for (int i = 0; i < STAGES - 1; ++i) copy_next();
    }

    // The slot of the next turn, to be read before `next` is called again.
    __device__ const char* next() {
        wait_for_copies<STAGES - 2>();
        __syncwarp();  // every lane's copies are seen, and the slot read before is free
        copy_next();
        const char* slot = slots + reading;
        reading = reading == (STAGES - 1) * SLOT_BYTES ? 0 : reading + SLOT_BYTES;
        return slot;
    }

private:
    __device__ void copy_next() {
        if (group < total) {
            copy(address + filling, source, turn);
            if (++turn == source.num_turns) {
                turn = 0;
                group += stride;
                if (group < total) source = locate(group);
            }
        }
        commit_copies();  // of nothing, past the end: what is waited for is a count of commits
        filling = filling == (STAGES - 1) * SLOT_BYTES ? 0 : filling + SLOT_BYTES;
    }

    char* const slots;
    const SharedAddress address;  // of the same
    int group, turn = 0;  // of the next copy
    const int total, stride;
    int filling = 0, reading = 0;
    Locate locate;
    Copy copy;
    decltype(locate(0)) source;
};

template <int SLOT_BYTES, int STAGES, class Locate, class Copy>
__device__ inline WeightRing<SLOT_BYTES, STAGES, Locate, Copy> start_ring(char* memory, int first, int total, int stride,
                                                                          Locate locate, Copy copy) {
    return {memory, first, total, stride, locate, copy};
}
