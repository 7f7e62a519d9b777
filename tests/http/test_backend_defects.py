"""A backend that raises what no port names: code 99, one job lost, the worker goes on."""

from collections.abc import Sequence

import pytest

from ports.loaded_model import SequenceId, StepOutput
from ports.sampling import SamplingParams
from tests.http.service import Service
from tests.support.scripted_model import ScriptedModel

SECRET = "what only the backend knows"


class DefectiveModel(ScriptedModel):
    """Fails once in each of the named calls, as nobody foresaw."""

    def __init__(self, *calls: str) -> None:
        super().__init__()
        self._calls = set(calls)

    def open_sequence(
        self, prompt_ids: Sequence[int], sampling: SamplingParams, *, max_tokens: int
    ) -> SequenceId:
        self._fail_in("open_sequence")
        return super().open_sequence(prompt_ids, sampling, max_tokens=max_tokens)

    def step(self) -> Sequence[StepOutput]:
        self._fail_in("step")
        return super().step()

    def close_sequence(self, sequence_id: SequenceId) -> None:
        super().close_sequence(sequence_id)
        self._fail_in("close_sequence")

    def _fail_in(self, call: str) -> None:
        if call in self._calls:
            self._calls.remove(call)
            raise RuntimeError(SECRET)


@pytest.mark.req("M0-W-1052", "M0-SYS-2.5.1", "M0-W-1501")
@pytest.mark.parametrize("calls", [["open_sequence"], ["step"], ["step", "close_sequence"]], ids=" and ".join)
async def test_an_unknown_exception_is_an_internal_error_of_one_job(calls: list[str]) -> None:
    async with Service(DefectiveModel(*calls)) as service, await service.connect() as client:
        await client.execute("lost", max_tokens=3)
        events = await client.all_events()

        assert ["started", "error"] == [event.name for event in events]
        assert ("INTERNAL", True) == (events[-1].data["code"], events[-1].data["retriable"])
        assert SECRET not in str(events) + str(service.narrator.events)

        await client.execute("next", max_tokens=3)

        assert "end" == (await client.all_events())[-1].name
        assert {} == service.model.open


@pytest.mark.req("M0-W-1052")
async def test_an_unknown_exception_after_the_last_token_costs_no_answer_and_no_slot() -> None:
    async with Service(DefectiveModel("close_sequence")) as service, await service.connect() as client:
        for job_id in ("first", "next"):
            await client.execute(job_id, max_tokens=3)

            assert "end" == (await client.all_events())[-1].name
