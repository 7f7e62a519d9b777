// Asynchronous copies to where a register says, for loops that copy often: from a pointer the compiler would compute
// the place in shared memory anew for each copy.
#pragma once
#include "tensor_core.cuh"

using SharedAddress = unsigned;

// Of something in shared memory. The compiler is kept from seeing where it comes from.
__device__ inline SharedAddress hold_address(const void* pointer) {
    SharedAddress address;
    asm volatile("mov.u32 %0, %1;" : "=r"(address) : "r"(shared_address(pointer)));
    return address;
}

__device__ inline void* pointer_to(SharedAddress address) { return __cvta_shared_to_generic(address); }

// Start copying 16 bytes. Source: PTX ISA, "cp.async".
__device__ inline void copy_async_to(SharedAddress to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}
