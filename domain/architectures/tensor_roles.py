"""The tensors of a file, handed out by name, each checked against the shape its role needs."""

from collections.abc import Mapping

from domain.metadata import refusal, shown
from ports.model_file import ModelFile, TensorInfo
from ports.tensor_types import TensorType

_VECTOR_TYPES = (TensorType.F32, TensorType.F16)


class TensorRoles:
    """What a family asks of a file. Remembers what was taken, so that nothing is left over unnoticed."""

    def __init__(self, file: ModelFile, *, aliases: Mapping[str, str] | None = None) -> None:
        """Hand out the tensors of `file`; `aliases` says what it calls some of them, by our name for them."""
        self._file = file
        self._aliases = aliases or {}
        self._taken: dict[str, TensorInfo] = {}

    def matrix(self, name: str, *, rows: int, columns: int) -> TensorInfo:
        """Take the tensor [rows, columns], of any supported type.

        Raises:
            ModelLoadFailed: it is missing or has another shape.
        """
        return self._take(name, (rows, columns))

    def vector(self, name: str, *, length: int) -> TensorInfo:
        """Take the tensor [length], F32 or F16: norms, biases and factors are never quantized.

        Raises:
            ModelLoadFailed: it is missing or has another shape or type.
        """
        return self._floats(name, (length,))

    def expert_matrices(self, name: str, *, num_experts: int, rows: int, columns: int) -> TensorInfo:
        """Take the tensor [num_experts, rows, columns], of any supported type.

        Raises:
            ModelLoadFailed: it is missing or has another shape.
        """
        return self._take(name, (num_experts, rows, columns))

    def expert_vectors(self, name: str, *, num_experts: int, length: int) -> TensorInfo:
        """Take the tensor [num_experts, length], F32 or F16.

        Raises:
            ModelLoadFailed: it is missing or has another shape or type.
        """
        return self._floats(name, (num_experts, length))

    def has(self, name: str) -> bool:
        return self._aliases.get(name, name) in self._file.tensors

    def num_rows(self, name: str) -> int:
        """First dimension of a matrix whose height the file decides.

        Raises:
            ModelLoadFailed: it is missing or no matrix.
        """
        shape = self._find(name, "a matrix").shape
        if len(shape) != 2:
            raise refusal(
                self._file, f"shape of tensor {name}", expected="2 dimensions", actual=str(list(shape))
            )
        return shape[0]

    def all_taken(self) -> tuple[TensorInfo, ...]:
        """Everything taken, each tensor once.

        Raises:
            ModelLoadFailed: the file holds a tensor that no role wanted. To leave a weight out would be to
                compute another model than the one in the file.
        """
        for name in self._file.tensors:
            if name not in self._taken:
                expected = "only tensors this architecture computes with"
                raise refusal(self._file, "tensor table", expected=expected, actual=shown(name))
        return tuple(self._taken.values())

    def _floats(self, name: str, shape: tuple[int, ...]) -> TensorInfo:
        tensor = self._take(name, shape)
        if tensor.type not in _VECTOR_TYPES:
            raise refusal(
                self._file, f"type of tensor {name}", expected="F32 or F16", actual=tensor.type.name
            )
        return tensor

    def _take(self, name: str, shape: tuple[int, ...]) -> TensorInfo:
        tensor = self._find(name, f"shape {list(shape)}")
        if tensor.shape != shape:
            turned = " (transposed)" if tensor.shape == shape[::-1] else ""
            actual = f"{list(tensor.shape)}{turned}"
            raise refusal(self._file, f"shape of tensor {name}", expected=str(list(shape)), actual=actual)
        self._taken[tensor.name] = tensor
        return tensor

    def _find(self, name: str, expected: str) -> TensorInfo:
        try:
            return self._file.tensors[self._aliases.get(name, name)]
        except KeyError:
            raise refusal(self._file, f"tensor {name}", expected=expected, actual="no such tensor") from None
