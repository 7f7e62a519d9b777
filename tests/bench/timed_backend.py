"""A backend on a virtual clock: what a benchmark measures of it is known to the digit."""

from collections.abc import Sequence
from types import SimpleNamespace

from ports.compute_backend import DeviceInfo, OnProgress
from ports.loaded_model import SequenceId, StepOutput
from ports.memory import MemoryPlan
from ports.model_description import ModelDescription
from ports.model_file import ModelFile
from ports.sampling import SamplingParams
from tests.support.scripted_model import ScriptedModel

LOAD_S, UPLOAD_S, PROMPT_S_PER_TOKEN, TOKEN_S = 2.0, 0.5, 0.001, 0.01
_CHUNK_TOKENS = 10


class VirtualTime(SimpleNamespace):
    """Stands for the module `time`."""

    now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s


class TimedModel(ScriptedModel):
    """Takes prompts in chunks; the last chunk yields the first token."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time
        self._prompt_tokens_left = 0
        self.prompts: list[int] = []  # their lengths

    def open_sequence(
        self, prompt_ids: Sequence[int], sampling: SamplingParams, *, max_tokens: int
    ) -> SequenceId:
        assert not self.open  # one at a time
        self.prompts.append(len(prompt_ids))
        self._prompt_tokens_left = len(prompt_ids)
        return super().open_sequence(prompt_ids, sampling, max_tokens=max_tokens)

    def step(self) -> Sequence[StepOutput]:
        if not self._prompt_tokens_left:
            self._time.now_s += TOKEN_S
            return super().step()
        chunk = min(_CHUNK_TOKENS, self._prompt_tokens_left)
        self._prompt_tokens_left -= chunk
        self._time.now_s += chunk * PROMPT_S_PER_TOKEN
        return () if self._prompt_tokens_left else super().step()


class TimedBackend:
    """A backend and its only device."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self.models: list[TimedModel] = []

    def device_count(self) -> int:
        return 1

    def open_device(self, device_id: int) -> "TimedBackend":
        assert device_id == 0
        self._time.now_s += 100.0  # is no part of a load
        return self

    def info(self) -> DeviceInfo:
        return DeviceInfo(0, "timed", 2**40, 2**40, prefill_chunk_tokens=_CHUNK_TOKENS)

    def load_model(
        self,
        description: ModelDescription,  # noqa: ARG002 the answers are scripted
        file: ModelFile,  # noqa: ARG002
        plan: MemoryPlan,
        *,
        chunk_bytes: int,  # noqa: ARG002
        on_progress: OnProgress,
    ) -> TimedModel:
        assert plan.prefill_chunk_tokens == _CHUNK_TOKENS
        self._time.now_s += 0.7
        on_progress(0, 2)
        self._time.now_s += UPLOAD_S / 2
        on_progress(1, 2)
        self._time.now_s += UPLOAD_S / 2
        on_progress(2, 2)
        self._time.now_s += LOAD_S - UPLOAD_S - 0.7
        self.models.append(TimedModel(self._time))
        return self.models[-1]

    def close(self) -> None:
        """Nothing to release."""
