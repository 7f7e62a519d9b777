"""What the prefill kernels take, as their structures in `kernels/` have it."""

import ctypes


class KvPages(ctypes.Structure):
    """`struct KvPages` of kv_pages.cuh."""

    _fields_ = (
        ("d_pool", ctypes.c_uint64),
        ("d_page_table", ctypes.c_uint64),
        ("page_bytes", ctypes.c_int64),
        ("layer_bytes", ctypes.c_int64),
        ("num_kv_heads", ctypes.c_int32),
        ("head_dim", ctypes.c_int32),
    )


class RopeArgs(ctypes.Structure):
    """`struct Rope` of prefill_rope.cu."""

    _fields_ = (
        ("d_frequencies", ctypes.c_uint64),
        ("magnitude", ctypes.c_float),
        ("rotary_dim", ctypes.c_int32),
        ("pairs_neighbours", ctypes.c_int32),
    )
