"""Faults to order: how they are written, and what they do to a running model."""

import time
from collections.abc import Callable

import pytest

from backends.fake.backend import FakeBackend
from backends.fake.faults import Fault, FaultKind, parse_fault
from domain.errors import DeviceError, DeviceLost, KernelLaunchFailed, VramExhausted
from ports.loaded_model import LoadedModel
from ports.sampling import GREEDY
from tests.contracts.backend_support import PROMPT, load, run
from tests.models.tiny import TinyShape, tiny_model


def model_with(*faults: str) -> LoadedModel:
    backend = FakeBackend(faults=[parse_fault(fault) for fault in faults])
    return load(backend.open_device(0), tiny_model(TinyShape()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("slow-step@5:200", Fault(FaultKind.SLOW_STEP, 5, 200.0)),
        ("slow-step@*:0.5", Fault(FaultKind.SLOW_STEP, None, 0.5)),
        ("out-of-memory@0", Fault(FaultKind.OUT_OF_MEMORY, 0)),
        ("launch-failure@12", Fault(FaultKind.LAUNCH_FAILURE, 12)),
        ("device-lost@3", Fault(FaultKind.DEVICE_LOST, 3)),
        ("residency-lost@3", Fault(FaultKind.RESIDENCY_LOST, 3)),
        ("nan-logits@*", Fault(FaultKind.NAN_LOGITS, None)),
        ("allocation-failure@7", Fault(FaultKind.ALLOCATION_FAILURE, 7)),
        ("load-allocation-failure@0", Fault(FaultKind.LOAD_ALLOCATION_FAILURE, 0)),
        ("upload-failure@*", Fault(FaultKind.UPLOAD_FAILURE, None)),
    ],
)
def test_a_fault_is_read_as_it_is_written(text: str, expected: Fault) -> None:
    assert expected == parse_fault(text)


BAD_FAULTS = """
    @ slow-step slow-step@ slow-step@5 slow-step@5: slow-step@5:fast slow-step@5:-1 slow-step@5:nan
    slow-step@x:1 meteor@1 device-lost@-1 device-lost@1.5 device-lost@1:2 device-lost@\u0661 DEVICE-LOST@1
"""


@pytest.mark.parametrize("text", ["", *BAD_FAULTS.split()])
def test_a_fault_written_wrongly_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fault|whole number|milliseconds"):
        parse_fault(text)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError) as failure:
        parse_fault("meteor@1")

    assert all(kind in str(failure.value) for kind in FaultKind)


def test_a_slow_step_takes_longer_and_changes_no_token() -> None:
    model = model_with("slow-step@2:80")
    model.open_sequence(PROMPT, GREEDY, max_tokens=4)
    tokens, elapsed_ms = [], []
    for _ in range(4):
        start = time.perf_counter()
        tokens.append(model.step()[0].token_id)
        elapsed_ms.append((time.perf_counter() - start) * 1000)

    assert run(model_with(), PROMPT, num_tokens=4) == tokens
    assert [2] == [step for step, elapsed in enumerate(elapsed_ms) if elapsed >= 80]


@pytest.mark.req("M0-W-1021")
def test_a_step_without_memory_moves_nothing_and_can_be_tried_again() -> None:
    model = model_with("out-of-memory@2")
    sequence_id = model.open_sequence(PROMPT, GREEDY, max_tokens=4)
    tokens = [model.step()[0].token_id, model.step()[0].token_id]
    with pytest.raises(VramExhausted):
        model.step()
    tokens += [model.step()[0].token_id, model.step()[0].token_id]
    model.close_sequence(sequence_id)

    assert run(model, PROMPT, num_tokens=4) == tokens


@pytest.mark.req("M0-W-1021")
def test_allocations_are_counted_apart_from_steps_page_by_page_over_jobs_and_scores() -> None:
    model = model_with("allocation-failure@6")
    before = model.memory()
    run(model, PROMPT * 3, num_tokens=20)  # 44 positions: pages 0, 1, 2
    model.score(PROMPT * 3)  # 24 positions: pages 3, 4
    with pytest.raises(VramExhausted) as failure:
        run(model, PROMPT * 3, num_tokens=20)  # pages 5, 6

    assert 0 == failure.value.facts["vram_available_bytes"]
    assert before == model.memory()
    assert run(model_with(), PROMPT) == run(model, PROMPT)


@pytest.mark.parametrize(
    ("fault", "error"), [("launch-failure@1", KernelLaunchFailed), ("nan-logits@1", DeviceError)]
)
def test_a_failed_step_loses_what_ran_and_the_model_goes_on(fault: str, error: type[DeviceError]) -> None:
    model = model_with(fault)
    before = model.memory()
    lost = model.open_sequence(PROMPT, GREEDY, max_tokens=4)
    model.step()
    with pytest.raises(error):
        model.step()
    model.close_sequence(lost)

    assert before == model.memory()
    assert run(model_with(), PROMPT) == run(model, PROMPT)


CALLS: dict[str, Callable[[LoadedModel], object]] = {
    "step": lambda model: model.step(),
    "open": lambda model: model.open_sequence(PROMPT, GREEDY, max_tokens=1),
    "score": lambda model: model.score(PROMPT),
    "residency": lambda model: model.check_residency(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_lost_device_stays_lost_and_can_only_be_closed(call: Callable[[LoadedModel], object]) -> None:
    model = model_with("device-lost@0")
    sequence_id = model.open_sequence(PROMPT, GREEDY, max_tokens=4)
    with pytest.raises(DeviceLost):
        model.step()
    with pytest.raises(DeviceLost):
        call(model)
    model.close_sequence(sequence_id)
    with pytest.raises(DeviceLost):
        call(model)
    model.close()

    assert 0 == model.memory().used_bytes


@pytest.mark.req("M0-W-1012")
def test_residency_is_lost_from_its_step_on() -> None:
    model = model_with("residency-lost@1")
    model.open_sequence(PROMPT, GREEDY, max_tokens=4)
    resident = []
    for _ in range(4):
        resident.append(model.check_residency())
        model.step()

    assert [True, True, False, False] == resident


def test_steps_are_counted_over_all_jobs_and_scores_but_not_when_nothing_runs() -> None:
    model = model_with("launch-failure@3")
    run(model, PROMPT, num_tokens=2)
    model.step()
    model.score(PROMPT)

    with pytest.raises(KernelLaunchFailed):
        run(model, PROMPT, num_tokens=1)
