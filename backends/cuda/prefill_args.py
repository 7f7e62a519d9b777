"""What the prefill kernels take, as their structures in `kernels/` have it."""

import ctypes

from backends.cuda.decode_args import Vector
from backends.cuda.packed import PackedMatrix


class LinearArgs(ctypes.Structure):
    """`struct Linear` of tile_operands.cuh: a matrix with its bias, or some of its rows."""

    _fields_ = (("w", PackedMatrix), ("num_rows", ctypes.c_int32), ("bias", Vector))


class LinearStackArgs(ctypes.Structure):
    """`struct LinearStack` of prefill_matmul.cu: up to three matrices; the others have no rows."""

    _fields_ = (("of", LinearArgs * 3),)


class PanelsArgs(ctypes.Structure):
    """`struct Panels` of panels.cuh: activations of many tokens."""

    _fields_ = (("d_data", ctypes.c_uint64), ("rows", ctypes.c_int32), ("num_columns", ctypes.c_int32))


class ExpertListsArgs(ctypes.Structure):
    """`struct ExpertLists` of expert_lists.cuh."""

    _fields_ = (
        ("d_counts", ctypes.c_uint64),
        ("d_starts", ctypes.c_uint64),
        ("d_pairs", ctypes.c_uint64),
    )


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
