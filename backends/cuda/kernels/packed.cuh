// All of packed weights: where they lie (`load_packed`), what they are worth (`load_block`), and their product
// with int8 activations (`dot_block`).
#pragma once

#include "packed_dot.cuh"
#include "packed_layout.cuh"
#include "packed_values.cuh"
