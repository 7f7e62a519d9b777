"""Rotary position embeddings as files describe them."""

import math

from domain.architectures.tensor_roles import TensorRoles
from domain.metadata import (
    optional_float,
    optional_int,
    optional_str,
    refusal,
    require_float,
    require_int,
    require_str,
    shown,
)
from ports.model_description import LinearScaling, Rope, RopePairing, Yarn
from ports.model_file import ModelFile

_FREQUENCY_FACTORS = "rope_freqs.weight"
_SMALLEST_FACTOR = 1e-6  # real ones are above 1; divided by much less, frequencies are infinite


def read_rope(
    file: ModelFile,
    roles: TensorRoles,
    architecture: str,
    *,
    pairing: RopePairing,
    head_dim: int,
    scaling: LinearScaling | Yarn | None = None,
) -> Rope:
    """Read base and width, and take the tensor of frequency factors where the file has one.

    Raises:
        ModelLoadFailed: a key holds what no rope can have.
    """
    rotary_dim = _rotary_dim(file, f"{architecture}.rope.dimension_count", head_dim)
    theta_key = f"{architecture}.rope.freq_base"
    # a base below 1 turns later pairs faster, up to infinity; YaRN divides by its logarithm
    theta = optional_float(file, theta_key, default=10_000.0, above=1.0, maximum=1e15)
    factors = None
    if roles.has(_FREQUENCY_FACTORS):
        factors = roles.vector(_FREQUENCY_FACTORS, length=rotary_dim // 2)
    return Rope(pairing, rotary_dim, theta, factors, scaling)


def read_linear_scaling(file: ModelFile, architecture: str) -> LinearScaling | None:
    """Read a scaling that may be missing and can only be linear; a factor without a type means that, too.

    Raises:
        ModelLoadFailed: it is another, or its factor can be none.
    """
    type_key, factor_key = f"{architecture}.rope.scaling.type", f"{architecture}.rope.scaling.factor"
    scaling = optional_str(file, type_key, default="linear")
    if scaling not in ("none", "linear"):
        raise refusal(file, type_key, expected="none or linear", actual=shown(scaling))
    if factor_key not in file.metadata:
        factor_key = f"{architecture}.rope.scale_linear"  # as old files have it
    factor = optional_float(file, factor_key, default=1.0, above=-1.0, maximum=1e6)
    if factor != 0 and factor < _SMALLEST_FACTOR:
        expected = f"at least {_SMALLEST_FACTOR}, or 0 for none"
        raise refusal(file, factor_key, expected=expected, actual=str(factor))
    return None if scaling == "none" or factor in (0.0, 1.0) else LinearScaling(factor)


def read_yarn(file: ModelFile, architecture: str) -> Yarn:
    """Read a scaling that must be there and must be YaRN.

    Raises:
        ModelLoadFailed: it is missing, another, or scaled in a way that is not computed.
    """
    prefix = f"{architecture}.rope.scaling"
    if require_str(file, f"{prefix}.type") != "yarn":
        actual = shown(file.metadata[f"{prefix}.type"])
        raise refusal(file, f"{prefix}.type", expected="yarn", actual=actual)
    for key in (f"{prefix}.attn_factor", f"{prefix}.yarn_attn_factor", f"{prefix}.yarn_ext_factor"):
        value = optional_float(file, key, default=1.0, above=-1e9, maximum=1e9)
        if value != 1.0:
            raise refusal(file, key, expected="1.0 or no such key", actual=str(value))
    factor = require_float(file, f"{prefix}.factor", above=_SMALLEST_FACTOR, maximum=1e6)
    original_key = f"{prefix}.original_context_length"
    return Yarn(
        factor=factor,
        original_context_length=require_int(file, original_key, minimum=1, maximum=2**24),
        beta_fast=optional_float(file, f"{prefix}.yarn_beta_fast", default=32.0, above=0.0, maximum=1e6),
        beta_slow=optional_float(file, f"{prefix}.yarn_beta_slow", default=1.0, above=0.0, maximum=1e6),
        attention_factor=0.1 * math.log(factor) + 1 if factor > 1 else 1.0,
    )


def _rotary_dim(file: ModelFile, key: str, head_dim: int) -> int:
    rotary_dim = optional_int(file, key, default=head_dim, minimum=2, maximum=head_dim)
    if rotary_dim % 2:
        raise refusal(file, key, expected="an even number of dimensions", actual=str(rotary_dim))
    return rotary_dim
