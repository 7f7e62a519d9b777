"""One open sequence of the stand-in."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from backends.fake.kv_cache import KvCache
from ports.loaded_model import SequenceId
from ports.sampling import SamplingParams


@dataclass(slots=True)
class OpenSequence:
    """Prompt, answer so far, and what it holds."""

    sequence_id: SequenceId
    prompt_ids: Sequence[int]
    sampling: SamplingParams
    max_tokens: int
    pages: Sequence[int]
    cache: KvCache
    generated_ids: list[int] = field(default_factory=list)
    is_lost: bool = False  # a step failed while it was open

    @property
    def is_complete(self) -> bool:
        return len(self.generated_ids) >= self.max_tokens

    def next_input(self, chunk_tokens: int) -> Sequence[int]:
        """The ids to compute next: a chunk of the prompt, or the token chosen last."""
        num_done = self.cache.num_tokens
        if num_done < len(self.prompt_ids):
            return self.prompt_ids[num_done : num_done + chunk_tokens]
        return self.generated_ids[-1:]

    @property
    def is_prompt_done(self) -> bool:
        return self.cache.num_tokens >= len(self.prompt_ids)
