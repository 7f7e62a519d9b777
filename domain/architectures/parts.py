"""The parts models are made of, put together from tensors by their names."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from domain.architectures.general import read_name, read_quant_kind
from domain.architectures.settings import DecoderSettings
from domain.architectures.tensor_roles import TensorRoles
from domain.architectures.vocabulary import check_vocabulary
from ports.model_description import Layer, LayerNorm, Linear, ModelDescription, Norm, RmsNorm
from ports.model_file import ModelFile, TensorInfo

_EMBEDDING = "token_embd.weight"
_HEAD = "output.weight"


def linear(roles: TensorRoles, name: str, *, rows: int, columns: int, has_bias: bool = False) -> Linear:
    """`name.weight` [rows, columns], and `name.bias` [rows] where there must be one."""
    weight = roles.matrix(f"{name}.weight", rows=rows, columns=columns)
    return Linear(weight, roles.vector(f"{name}.bias", length=rows) if has_bias else None)


def fused(
    roles: TensorRoles, name: str, *, heights: Sequence[int], columns: int, has_bias: bool = False
) -> tuple[Linear, ...]:
    """Matrices of the given heights that are stored one above the other as `name`."""
    whole = linear(roles, name, rows=sum(heights), columns=columns, has_bias=has_bias)
    ends = list(accumulate(heights, initial=0))
    return tuple(Linear(whole.weight, whole.bias, range(start, stop)) for start, stop in pairwise(ends))


def rms_norm(roles: TensorRoles, name: str, *, length: int, eps: float) -> RmsNorm:
    """`name.weight` [length]."""
    return RmsNorm(roles.vector(f"{name}.weight", length=length), eps)


def layer_norm(roles: TensorRoles, name: str, *, length: int, eps: float) -> LayerNorm:
    """`name.weight` and `name.bias`, both [length]."""
    weight, bias = (roles.vector(f"{name}.{kind}", length=length) for kind in ("weight", "bias"))
    return LayerNorm(weight, bias, eps)


def assemble(
    file: ModelFile,
    roles: TensorRoles,
    architecture: str,
    settings: DecoderSettings,
    *,
    layers: Sequence[Layer],
    output_norm: Norm,
    position_embedding: TensorInfo | None = None,
) -> ModelDescription:
    """Add embedding and head to the layers, and see that no tensor is left over.

    Raises:
        ModelLoadFailed: one of them is missing or misshapen, the vocabulary is not the embedding's, or the
            file holds a tensor that nothing computes with.
    """
    vocab_size = roles.num_rows(_EMBEDDING)
    check_vocabulary(file, architecture, vocab_size)
    embedding = roles.matrix(_EMBEDDING, rows=vocab_size, columns=settings.hidden_size)
    output = embedding  # tied, unless the file brings a head of its own
    if roles.has(_HEAD):
        output = roles.matrix(_HEAD, rows=vocab_size, columns=settings.hidden_size)
    return ModelDescription(
        architecture=architecture,
        name=read_name(file),
        quant_kind=read_quant_kind(file),
        vocab_size=vocab_size,
        hidden_size=settings.hidden_size,
        context_length=settings.context_length,
        embedding=embedding,
        layers=tuple(layers),
        output_norm=output_norm,
        output=Linear(output),
        position_embedding=position_embedding,
        tensors=roles.all_taken(),
    )
