"""Hyper-parameters every decoder has: read, defaulted, and held to what a transformer can be."""

from dataclasses import dataclass

from domain.metadata import optional_int, refusal, require_float, require_int
from ports.model_file import ModelFile

# Far above every published model and far below what would exhaust a host that believes it.
_MAX_LAYERS = 1024
_MAX_WIDTH = 2**22
_MAX_HEADS = 2**14
_MAX_CONTEXT = 2**24


@dataclass(frozen=True, slots=True)
class DecoderSettings:
    """What the metadata of one file says of the model's size."""

    context_length: int
    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int

    @property
    def query_size(self) -> int:
        return self.num_heads * self.head_dim

    @property
    def key_size(self) -> int:
        return self.num_kv_heads * self.head_dim


def read_settings(file: ModelFile, architecture: str) -> DecoderSettings:
    """Read the keys under the prefix `architecture`.

    Raises:
        ModelLoadFailed: a key is missing or holds what no such model can have.
    """
    hidden_size = _count(file, f"{architecture}.embedding_length", _MAX_WIDTH)
    num_heads = _count(file, f"{architecture}.attention.head_count", _MAX_HEADS)
    head_dim = _head_dim(file, architecture, hidden_size, num_heads)
    return DecoderSettings(
        context_length=_count(file, f"{architecture}.context_length", _MAX_CONTEXT),
        num_layers=_count(file, f"{architecture}.block_count", _MAX_LAYERS),
        hidden_size=hidden_size,
        intermediate_size=_count(file, f"{architecture}.feed_forward_length", _MAX_WIDTH),
        num_heads=num_heads,
        num_kv_heads=_num_kv_heads(file, f"{architecture}.attention.head_count_kv", num_heads),
        head_dim=head_dim,
    )


def read_rms_norm_eps(file: ModelFile, architecture: str) -> float:
    """The eps of every RMSNorm.

    Raises:
        ModelLoadFailed: it is missing or too large to be one.
    """
    return require_float(file, f"{architecture}.attention.layer_norm_rms_epsilon", above=0.0, maximum=0.1)


def _count(file: ModelFile, key: str, maximum: int) -> int:
    return require_int(file, key, minimum=1, maximum=maximum)


def _head_dim(file: ModelFile, architecture: str, hidden_size: int, num_heads: int) -> int:
    key = f"{architecture}.attention.key_length"
    if key in file.metadata:
        head_dim = _count(file, key, _MAX_WIDTH)
    elif hidden_size % num_heads:
        check, expected = f"{architecture}.attention.head_count", f"a divisor of {hidden_size}"
        raise refusal(file, check, expected=expected, actual=str(num_heads))
    else:
        head_dim = hidden_size // num_heads
    value_key = f"{architecture}.attention.value_length"
    value_dim = optional_int(file, value_key, default=head_dim, minimum=1, maximum=_MAX_WIDTH)
    if value_dim != head_dim:
        raise refusal(file, value_key, expected=f"{head_dim}, as for keys", actual=str(value_dim))
    return head_dim


def _num_kv_heads(file: ModelFile, key: str, num_heads: int) -> int:
    num_kv_heads = optional_int(file, key, default=num_heads, minimum=1, maximum=num_heads)
    if num_heads % num_kv_heads:
        raise refusal(file, key, expected=f"a divisor of {num_heads} heads", actual=str(num_kv_heads))
    return num_kv_heads
