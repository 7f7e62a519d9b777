"""One open sequence of the CUDA backend."""

from collections.abc import Sequence
from dataclasses import dataclass

from backends.cuda.sampler import Method
from backends.cuda.sequence_slot import SequenceSlot
from ports.loaded_model import SequenceId
from ports.sampling import SamplingParams


@dataclass(slots=True)
class OpenSequence:
    """Prompt, how far it is, and what it holds."""

    sequence_id: SequenceId
    prompt_ids: Sequence[int]
    sampling: SamplingParams
    max_tokens: int
    pages: Sequence[int]
    slot: SequenceSlot
    num_prefilled: int = 0
    num_enqueued: int = 0  # tokens the device has been asked for; none before the prompt is done
    num_taken: int = 0  # tokens handed out
    is_lost: bool = False  # a step failed while it was open

    @property
    def method(self) -> Method:
        return Method.of(self.sampling)

    @property
    def is_complete(self) -> bool:
        return self.num_taken >= self.max_tokens
