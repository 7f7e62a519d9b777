"""Where the bytes of tensors lie in their file."""

from ports.model_file import TensorInfo


def place(tensor: TensorInfo, offset_bytes: int, size_bytes: int) -> int:
    """Where in the file a range of a tensor begins.

    Raises:
        ValueError: the range is not inside the tensor.
    """
    if min(offset_bytes, size_bytes) < 0 or offset_bytes + size_bytes > tensor.size_bytes:
        raise ValueError(f"bytes {offset_bytes} + {size_bytes} are not inside {tensor.name}")
    return tensor.offset_bytes + offset_bytes
