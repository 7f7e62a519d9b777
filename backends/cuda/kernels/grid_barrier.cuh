// Points at which the blocks of one grid meet. One counter in global memory serves them all: it counts arrivals,
// is 0 before the launch, and is set back to 0 by the block that `arrives_last`.
// Read what other blocks wrote with __ldcg: a block's L1 may hold what was there before.
// Source: PTX ISA, memory consistency model: one thread's release, after its block has synchronised, covers what
// the whole block wrote.
#pragma once

struct GridBarrier {
    unsigned int* num_arrived;
    unsigned int num_expected = 0;

    // Goes on when every block has come this far. All of them must run at once: a cooperative launch.
    __device__ void wait() {
        num_expected += gridDim.x;
        __syncthreads();
        if (threadIdx.x == 0) {
            asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(num_arrived) : "memory");
            unsigned int value;
            do {
                asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(num_arrived) : "memory");
            } while (value < num_expected);
        }
        __syncthreads();
    }

    // Waits for nobody. True in the one block that finds all others here already: it sees what they wrote.
    __device__ bool arrives_last() {
        __shared__ bool is_last;
        num_expected += gridDim.x;
        __syncthreads();
        if (threadIdx.x == 0) {
            unsigned int before;
            asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;" : "=r"(before) : "l"(num_arrived) : "memory");
            is_last = before + 1 == num_expected;
        }
        __syncthreads();
        return is_last;
    }
};
