"""The port to one model resident on one device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType, Protocol

import numpy as np
from numpy.typing import NDArray

from ports.memory import MemoryReport
from ports.sampling import SamplingParams

SequenceId = NewType("SequenceId", int)


@dataclass(frozen=True, slots=True)
class StepOutput:
    """One token that a step produced."""

    sequence_id: SequenceId
    token_id: int


class LoadedModel(Protocol):
    """One model resident on one device. Not thread-safe: the inference thread owns it.

    Letters: P = prompt tokens, S = open sequences. After any exception but `DeviceLost` the model is usable:
    close the sequences named below and go on.
    """

    def open_sequence(
        self, prompt_ids: Sequence[int], sampling: SamplingParams, *, max_tokens: int
    ) -> SequenceId:
        """Reserve the KV pages of a sequence; compute nothing yet.

        Args:
            prompt_ids: [P], each in [0, vocab_size), 1 <= P < max_model_len.
            sampling: how its tokens are chosen.
            max_tokens: how many tokens will be asked for at most; P + max_tokens <= max_model_len.

        Raises:
            InvalidRequest: an id or a length is out of its range; nothing was taken.
            VramExhausted: the pages are not there; nothing was taken, the model is unchanged.
            DeviceLost: as `step`.
        """
        ...

    def step(self) -> Sequence[StepOutput]:
        """Advance every open sequence in one pass: a prompt by a chunk, an answer by a token.

        Returns:
            [<= S] one output per sequence that produced a token, in the order they were opened. A sequence
            that has its `max_tokens` rests.

        Raises:
            VramExhausted: no memory for the pass; no sequence moved. Close one and step again.
            DeviceError: the pass failed; every open sequence is lost and must be closed.
            DeviceLost: the device is gone; the model can only be closed.
        """
        ...

    def close_sequence(self, sequence_id: SequenceId) -> None:
        """Give the sequence's pages back and drop what was computed ahead. Idempotent."""
        ...

    def score(self, token_ids: Sequence[int]) -> NDArray[np.float32]:
        """Log-probability of each token given those before it. Takes no KV page after it returns.

        Args:
            token_ids: [P], 2 <= P <= max_model_len.

        Returns:
            [P - 1] natural logarithms, for token_ids[1:].

        Raises:
            InvalidRequest: as `open_sequence`.
            VramExhausted, DeviceError, DeviceLost: as `step`.
        """
        ...

    def memory(self) -> MemoryReport: ...

    def check_residency(self) -> bool:
        """Ask the driver whether every allocation still lies in this device's own memory.

        Raises:
            DeviceLost: there is no device to ask any more.
            DeviceError: it could not be asked.
        """
        ...

    def close(self) -> None:
        """Free all device memory of the model. Idempotent; never raises."""
        ...
