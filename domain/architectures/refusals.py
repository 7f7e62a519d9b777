"""What a family does not compute, refused where a file asks for it."""

from domain.metadata import optional_int, refusal
from ports.model_file import ModelFile


def refuse_experts(file: ModelFile, architecture: str) -> None:
    """Refuse a mixture of experts."""
    experts = f"{architecture}.expert_count"
    if optional_int(file, experts, default=0, minimum=0, maximum=2**31):
        expected = f"none: experts are not supported for {architecture}"
        raise refusal(file, experts, expected=expected, actual=str(file.metadata[experts]))


def refuse_narrow_window(file: ModelFile, architecture: str, context_length: int) -> None:
    """Refuse a sliding window that hides anything."""
    key = f"{architecture}.attention.sliding_window"
    window = optional_int(file, key, default=0, minimum=0, maximum=2**32)
    if 0 < window < context_length:
        expected = f"none: a sliding window is not supported for {architecture}"
        raise refusal(file, key, expected=expected, actual=str(window))
