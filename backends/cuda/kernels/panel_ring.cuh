// Panels on their way from global to shared memory: a ring of slots, a stage of PANELS panels of TOKENS rows in each.
// From capability 9.0 on one thread starts the copy of a whole panel, and a barrier in shared memory counts its bytes;
// before, every thread copies some chunks. Source: PTX ISA, "bar", "cp.async.bulk", "mbarrier".
#pragma once
#include "panels.cuh"
#include "tensor_core.cuh"

constexpr int MOST_SLOTS = 6;

// Wait for `count` threads of the block, whole warps that name the same barrier; 0 is that of __syncthreads.
__device__ inline void meet_threads(int barrier, int count) {
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(count) : "memory");
}

// Args:
//   THREADS: that share the ring, in a row: a warp, or some, the first of them a multiple of so many.
//   IS_WHOLE_BLOCK: whether those are all threads of the block.
template <int TOKENS, int PANELS, int SLOTS, int AHEAD, int THREADS, bool IS_WHOLE_BLOCK>
class PanelRing {
  public:
    static constexpr int STAGE = PANELS * TOKENS * PANEL;  // elements
    static_assert(SLOTS <= MOST_SLOTS && AHEAD < SLOTS);

    // Args:
    //   slots: SLOTS * STAGE elements of shared memory, 1024-byte aligned.
    //   full: SLOTS barriers in shared memory.
    // All threads of the block make theirs, and meet before `start`.
    __device__ PanelRing(unsigned short* slots, unsigned long long* full) : slots_(slots), full_(full) {
#if __CUDA_ARCH__ >= 900
        if (is_first()) {
            for (int slot = 0; slot < SLOTS; ++slot)
                asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(full_ + slot)) : "memory");
            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        }
#endif
    }

    // Begin to copy. The first panel and row, how many stages there are, and of how many rows: others stay as they are.
    __device__ void start(const Panels& x, int first_panel, int first_row, unsigned num_stages, unsigned num_rows) {
        source_ = x.panel(first_panel, first_row);
        panel_stride_ = static_cast<long long>(x.rows) * PANEL;
        num_stages_ = num_stages;
        panel_bytes_ = num_rows * PANEL * 2;
        for (unsigned stage = 0; stage < AHEAD; ++stage) start_copy(stage);
    }

    // Wait until `stage` is there and everybody is done with the one before it. Each stage once, in order.
    __device__ void begin_stage(unsigned stage) {
#if __CUDA_ARCH__ >= 900
        wait_until_full(stage);
#else
        wait_for_copies<AHEAD - 1>();
#endif
        meet();
        start_copy(stage + AHEAD);
    }

    __device__ const unsigned short* slot(unsigned stage) const { return slots_ + stage % SLOTS * STAGE; }

  private:
    unsigned short* slots_;
    unsigned long long* full_;
    const unsigned short* source_;
    long long panel_stride_;
    unsigned num_stages_, panel_bytes_;

    __device__ static int index() { return threadIdx.x % THREADS; }
    __device__ static bool is_first() { return index() == 0; }

    __device__ static void meet() {
        if constexpr (THREADS == 32)
            __syncwarp();
        else if constexpr (IS_WHOLE_BLOCK)
            __syncthreads();
        else
            meet_threads(1 + threadIdx.x / THREADS, THREADS);
    }

    __device__ void start_copy(unsigned stage) {
        unsigned short* const target = slots_ + stage % SLOTS * STAGE;
        const unsigned short* const source = source_ + stage * PANELS * panel_stride_;
#if __CUDA_ARCH__ >= 900
        if (stage >= num_stages_ || !is_first()) return;
        const unsigned full = shared_address(full_ + stage % SLOTS);
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(full), "r"(PANELS * panel_bytes_)
                     : "memory");
#pragma unroll
        for (int i = 0; i < PANELS; ++i)
            asm volatile(
                "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                    shared_address(target + i * TOKENS * PANEL)),
                "l"(source + i * panel_stride_), "r"(panel_bytes_), "r"(full)
                : "memory");
#else
        if (stage < num_stages_) {
#pragma unroll
            for (int i = 0; i < PANELS; ++i)
                for (unsigned at = index() * CHUNK; at < panel_bytes_ / 2; at += THREADS * CHUNK)
                    copy_async(target + i * TOKENS * PANEL + at, source + i * panel_stride_ + at, true);
        }
        commit_copies();
#endif
    }

    __device__ void wait_until_full(unsigned stage) const {
        asm volatile(
            "{.reg .pred full;\n"
            "again: mbarrier.try_wait.parity.shared::cta.b64 full, [%0], %1;\n"
            "@!full bra again;}" ::"r"(shared_address(full_ + stage % SLOTS)),
            "r"(stage / SLOTS % 2)
            : "memory");
    }
};
