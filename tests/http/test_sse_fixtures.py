"""One stream of every kind, over a real socket: its form, and a fixture of it for the proof bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from domain.errors import DeviceError
from tests.http.client import Connection, Event
from tests.http.service import Service, pace
from tests.proof_bundle.records import ProofRecorder
from tests.support.scripted_model import ScriptedModel

FIELDS = {
    "started": {"job_id", "model", "started_at", "seed", "correlation_id"},
    "token": {"t", "i", "ids"},
    "end": {"tokens_out", "tokens_in", "decode_time_ms", "stop_reason", "seed"},
    "error": {"code", "message", "retriable", "correlation_id"},
}
OPTIONAL = {"end": {"stop_sequence_matched", "ids"}}
EOS = 257


def lose_the_device(step: int) -> None:
    if step == 2:
        raise DeviceError("the launch failed")


@dataclass(frozen=True)
class Scenario:
    """How to bring about a kind of stream, and the reason or code that it ends with."""

    job_id: str
    ends_with: str
    service: Callable[[], Service] = Service
    stop: tuple[str, ...] = ()
    is_cancelled: bool = False


SCENARIOS = [
    Scenario("max-tokens", "MAX_TOKENS"),
    Scenario("no-token-at-all", "EOS", lambda: Service(ScriptedModel([EOS]))),
    Scenario("many-bytes-a-character", "EOS", lambda: Service(ScriptedModel([*"é😀".encode(), EOS]))),
    Scenario("stop-sequence", "STOP_SEQUENCE", lambda: Service(ScriptedModel(b"abcd")), stop=("bc",)),
    Scenario("no-memory", "VRAM_OOM", lambda: Service(ScriptedModel(max_open=0))),
    Scenario("failed-step", "CUDA_ERROR", lambda: Service(ScriptedModel(before_step=lose_the_device))),
    Scenario("timed-out", "INFERENCE_TIMEOUT", lambda: Service(inference_timeout_s=0.0)),
    Scenario(
        "cancelled", "CANCELLED", lambda: Service(ScriptedModel(before_step=pace(0.02))), is_cancelled=True
    ),
]


@pytest.mark.req("M0-W-1310", "M0-W-1311", "M0-W-1312", "M0-W-1811", "M0-W-1840")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.job_id for scenario in SCENARIOS])
async def test_a_stream_has_its_form_and_one_terminal_event(scenario: Scenario, proof: ProofRecorder) -> None:
    async with scenario.service() as service, await service.connect() as client:
        events = await run(scenario, service, client, proof)

    names = [event.name for event in events]
    assert ["started", *["token"] * (len(events) - 2)] == names[:-1]
    assert scenario.ends_with in (events[-1].data.get("stop_reason"), events[-1].data.get("code"))
    assert names[-1] == ("end" if "stop_reason" in events[-1].data else "error")
    for event in events:
        assert FIELDS[event.name] == set(event.data) - OPTIONAL.get(event.name, set())
    assert list(range(len(events) - 2)) == [event.data["i"] for event in events if event.name == "token"]


async def run(scenario: Scenario, service: Service, client: Connection, proof: ProofRecorder) -> list[Event]:
    """The whole stream, recorded; it is cancelled after its first token where the scenario says so."""
    fields: dict[str, Any] = {"seed": 7, "max_tokens": 8, "stop": list(scenario.stop)}
    stream = proof.stream({"job_id": scenario.job_id, "prompt": "hi", **fields})
    await client.execute(scenario.job_id, **fields)
    events = []
    async for event in client.events():
        stream.event(event.name, event.data)
        events.append(event)
        if scenario.is_cancelled and len(events) == 2:
            async with await service.connect() as other:
                await other.call("POST", "/cancel", {"job_id": scenario.job_id})
    return events
