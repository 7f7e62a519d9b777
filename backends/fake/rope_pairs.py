"""Rearrange what RoPE turns by halves so that the pairs lie side by side."""

from backends.fake.attention import AttentionWeights
from backends.fake.dense import Array


def pair_up_heads(loaded: AttentionWeights, rotary_dim: int) -> None:
    """Move row i + rotary_dim/2 of each head of Q and K next to row i, in place.

    Turning neighbours is one complex multiplication. Queries and keys are rearranged alike, so the products
    between them, the only thing either is used for, stay the same.
    """
    shape = loaded.shape
    num_rotated_rows = (shape.num_heads + shape.num_kv_heads) * shape.head_dim
    arrays = [loaded.query_key_value.weight[:num_rotated_rows]]
    if loaded.query_key_value.bias is not None:
        arrays.append(loaded.query_key_value.bias[:num_rotated_rows])
    arrays += [norm.weight for norm in (loaded.query_norm, loaded.key_norm) if norm is not None]
    for array in arrays:
        for start in range(0, len(array), shape.head_dim):
            _pair_up(array[start : start + rotary_dim])


def _pair_up(rows: Array) -> None:
    half = len(rows) // 2
    was = rows.copy()
    rows[0::2], rows[1::2] = was[:half], was[half:]
