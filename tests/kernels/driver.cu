// driver: kernels small enough to see a launch happen.

struct Line {
    float slope;
    float offset;
    long long stride;
};

// y[i] = N * (slope * x[i * stride] + offset). Launch: any grid and block that cover n.
template <int N>
__global__ void line(const float* x, float* y, Line line, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = N * (line.slope * x[i * line.stride] + line.offset);
}

// counters[i] += 1. Launch: one block.
__global__ void increment(int* counters) { counters[threadIdx.x] += 1; }

// As `increment`, begun while the launch before it ends, and waiting for it where it must.
__global__ void increment_after(int* counters) {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
    counters[threadIdx.x] += 1;
}

// y[i] = x[n - 1 - i] by way of shared memory. Launch: one block of n, n floats of dynamic shared memory at least;
// the last of the `last_byte` + 1 bytes is written, too.
__global__ void reverse(const float* x, float* y, int n, int last_byte) {
    extern __shared__ float tile[];
    if (threadIdx.x == 0) reinterpret_cast<volatile char*>(tile)[last_byte] = 0;
    __syncthreads();
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[n - 1 - threadIdx.x];
}

// Each block waits for all blocks: ends only if they run at once. Launch: cooperative, `arrived` is 0.
__global__ void meet(int* arrived) {
    if (threadIdx.x != 0) return;
    atomicAdd(arrived, 1);
    while (*reinterpret_cast<volatile int*>(arrived) < gridDim.x) {
    }
}

// Takes at least that many clock cycles.
__global__ void wait_cycles(long long num_cycles) {
    const long long begin = clock64();
    while (clock64() - begin < num_cycles) {
    }
}

// Ends the context.
__global__ void trap() { asm volatile("trap;"); }
