"""What the decode kernels take, as their structures in `kernels/` have it."""

import ctypes

from backends.cuda.packed import PackedMatrix


class Vector(ctypes.Structure):
    """`struct Vector`: a one-dimensional tensor; address 0 where the model has none."""

    _fields_ = (("d_data", ctypes.c_uint64), ("type", ctypes.c_int32))


class Input(ctypes.Structure):
    """`struct Input`: the vector that a matrix is multiplied with, and the norm before."""

    _fields_ = (("d_x", ctypes.c_uint64), ("weight", Vector), ("bias", Vector), ("eps", ctypes.c_float))


class Rows(ctypes.Structure):
    """`struct Rows`: one matrix of a layer."""

    _fields_ = (("matrix", PackedMatrix), ("num_rows", ctypes.c_int32), ("bias", Vector))


class Stack(ctypes.Structure):
    """`struct Stack`: up to three matrices with one input; the others have no rows."""

    _fields_ = (("rows", Rows * 3),)


class ExpertMatrix(ctypes.Structure):
    """`struct ExpertMatrix`: the matrices of all experts, one above the other."""

    _fields_ = (("matrix", PackedMatrix), ("bias", Vector), ("rows_an_expert", ctypes.c_int32))


class Rotation(ctypes.Structure):
    """`struct Rotation`: frequencies of RoPE, and where a position's cosines and sines go."""

    _fields_ = (
        ("d_frequencies", ctypes.c_uint64),
        ("d_out", ctypes.c_uint64),
        ("num_pairs", ctypes.c_int32),
        ("magnitude", ctypes.c_float),
    )


MOST_ROTATIONS = 4  # as in decode_begin.cu


class Rotations(ctypes.Structure):
    """`struct Rotations`: one for every kind of rotation the model has."""

    _fields_ = (("of", Rotation * MOST_ROTATIONS),)


class AttentionArgs(ctypes.Structure):
    """`struct AttentionArgs` of decode_attention.cu."""

    _fields_ = (
        ("d_qkv", ctypes.c_uint64),
        ("d_position", ctypes.c_uint64),
        ("d_page_table", ctypes.c_uint64),
        ("d_pool", ctypes.c_uint64),
        ("page_bytes", ctypes.c_int64),
        ("layer_bytes", ctypes.c_int64),
        ("d_rotation", ctypes.c_uint64),
        ("rotary_dim", ctypes.c_int32),
        ("is_adjacent", ctypes.c_int32),
        ("query_norm", Vector),
        ("key_norm", Vector),
        ("norm_eps", ctypes.c_float),
        ("sinks", Vector),
        ("window", ctypes.c_int32),
        ("num_kv_heads", ctypes.c_int32),
        ("group_size", ctypes.c_int32),
        ("d_partial", ctypes.c_uint64),
        ("d_num_arrived", ctypes.c_uint64),
        ("d_out", ctypes.c_uint64),
    )
