// Programmatic dependent launch: a kernel may start while the one before it still runs.
// Before `wait_for_previous` only what no kernel writes (weights) may be read, and nothing written.
// Source: CUDA programming guide, "Programmatic Dependent Launch and Synchronization".
#pragma once

// Let the next kernel of the stream start as soon as there is room for its blocks.
__device__ inline void let_next_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Wait until every kernel before this one is done and what it wrote is seen.
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
