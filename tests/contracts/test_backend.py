"""What every compute backend must do: devices, loading, memory of sequences."""

import dataclasses
import logging

import numpy as np
import pytest

from domain.architectures import describe
from domain.errors import (
    BackendCode,
    DeviceNotFound,
    InvalidDevice,
    InvalidRequest,
    ModelLoadFailed,
    VramExhausted,
)
from domain.memory_plan import PAGE_TOKENS
from ports.compute_backend import Device
from ports.loaded_model import LoadedModel, SequenceId
from ports.sampling import GREEDY, SamplingParams
from tests.contracts.backend_support import (
    HOT,
    NUM_PAGES,
    PROMPT,
    MakeBackend,
    ignore,
    load,
    plan_for,
    run,
)
from tests.models.memory_file import MemoryModelFile

pytestmark = pytest.mark.req("M0-W-1006", "M0-W-1051", "M0-W-1052")

# Devices


@pytest.mark.req("M0-W-1501")
@pytest.mark.parametrize("device_id", [-1, 64])
def test_a_device_that_is_not_there_is_refused(make_backend: MakeBackend, device_id: int) -> None:
    backend = make_backend()
    assert 1 <= backend.device_count() < 64

    with pytest.raises((DeviceNotFound, InvalidDevice)) as failure:
        backend.open_device(device_id)

    assert failure.value.backend_code in {BackendCode.DEVICE_NOT_FOUND, BackendCode.INVALID_DEVICE}


def test_a_device_says_what_it_is(device: Device) -> None:
    info = device.info()

    assert 0 == info.device_id
    assert info.name
    assert 0 < info.free_bytes <= info.total_bytes


@pytest.mark.req("M0-W-1400", "M0-W-1401")
def test_a_closed_device_takes_its_model_along_and_closes_again(device: Device, model: LoadedModel) -> None:
    model.open_sequence(PROMPT, GREEDY, max_tokens=4)
    device.close()
    device.close()

    assert 0 == model.memory().used_bytes


@pytest.mark.req("M0-W-1050")
def test_a_backend_neither_logs_nor_prints(
    make_backend: MakeBackend,
    file: MemoryModelFile,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.NOTSET)
    backend = make_backend()
    with pytest.raises((DeviceNotFound, InvalidDevice)):
        backend.open_device(64)
    device = backend.open_device(0)
    model = load(device, file)
    run(model, PROMPT, HOT)
    model.score(PROMPT)
    model.open_sequence([1], GREEDY, max_tokens=127)
    with pytest.raises(VramExhausted):
        model.open_sequence(PROMPT, GREEDY, max_tokens=100)
    model.close()
    device.close()

    assert ("", "") == capfd.readouterr()
    assert [] == caplog.records


# Loading


@pytest.mark.req("M0-W-1011", "M0-W-1220", "M0-SYS-2.2.1")
def test_a_loaded_model_takes_what_was_planned_to_the_byte(device: Device, file: MemoryModelFile) -> None:
    plan = plan_for(device, file)
    memory = load(device, file).memory()

    assert plan.weights_bytes == memory.weights_bytes
    assert plan.kv_cache_bytes == memory.kv_cache_bytes
    assert plan.scratch_bytes == memory.scratch_bytes
    assert (NUM_PAGES, NUM_PAGES) == (memory.num_kv_pages, memory.num_free_kv_pages)


@pytest.mark.req("M0-W-1222", "M0-W-1621")
@pytest.mark.parametrize("chunk_bytes", [100, 4096, 2**20])
def test_progress_goes_from_nothing_to_all_in_bounded_pieces(
    device: Device, file: MemoryModelFile, chunk_bytes: int
) -> None:
    total_bytes = sum(tensor.size_bytes for tensor in file.tensors.values())
    calls: list[tuple[int, int]] = []
    plan = plan_for(device, file)
    device.load_model(
        describe(file), file, plan, chunk_bytes=chunk_bytes, on_progress=lambda *call: calls.append(call)
    )

    assert (0, total_bytes) == calls[0]
    assert (total_bytes, total_bytes) == calls[-1]
    assert calls == sorted(calls)
    assert len(calls) == len(set(calls))
    assert file.largest_read_bytes <= chunk_bytes


@pytest.mark.req("M0-W-1001")
def test_a_device_holds_one_model_for_life(device: Device, model: LoadedModel, file: MemoryModelFile) -> None:
    with pytest.raises(ModelLoadFailed):
        load(device, file)
    model.close()

    with pytest.raises(ModelLoadFailed):
        load(device, file)


@pytest.mark.req("M0-W-1020", "M0-SYS-2.2.1")
def test_a_plan_that_does_not_fit_leaves_nothing_behind(device: Device, file: MemoryModelFile) -> None:
    free_bytes = device.info().free_bytes
    plan = plan_for(device, file)
    too_large = dataclasses.replace(plan, num_kv_pages=free_bytes // plan.kv_page_bytes)
    with pytest.raises(VramExhausted):
        device.load_model(describe(file), file, too_large, chunk_bytes=4096, on_progress=ignore)

    assert free_bytes == device.info().free_bytes
    assert 12 == len(run(load(device, file), PROMPT))


def test_a_file_that_shrinks_while_it_loads_leaves_nothing_behind(
    device: Device, file: MemoryModelFile
) -> None:
    free_bytes = device.info().free_bytes
    file.data = file.data[: len(file.data) // 2]
    with pytest.raises(ModelLoadFailed, match="shorter"):
        load(device, file)

    assert free_bytes == device.info().free_bytes


# Sequences


@pytest.mark.req("M0-W-1021", "M0-SYS-2.2.1")
def test_a_sequence_that_does_not_fit_takes_nothing_and_the_next_one_runs(model: LoadedModel) -> None:
    expected = run(model, PROMPT)
    held = model.open_sequence(PROMPT, GREEDY, max_tokens=PAGE_TOKENS * 4)
    before = model.memory()
    with pytest.raises(VramExhausted) as failure:
        model.open_sequence(PROMPT, GREEDY, max_tokens=PAGE_TOKENS * 4)

    assert BackendCode.OUT_OF_MEMORY == failure.value.backend_code
    assert failure.value.facts["vram_required_bytes"] > failure.value.facts["vram_available_bytes"]  # type: ignore[operator]  # ints
    assert before == model.memory()
    assert expected == run(model, PROMPT)
    model.close_sequence(held)


@pytest.mark.parametrize(("num_tokens", "num_pages"), [(2, 1), (16, 1), (17, 2), (32, 2), (128, 8)])
def test_a_sequence_takes_the_pages_of_its_prompt_and_answer(
    model: LoadedModel, num_tokens: int, num_pages: int
) -> None:
    model.open_sequence([1], GREEDY, max_tokens=num_tokens - 1)

    assert NUM_PAGES - num_pages == model.memory().num_free_kv_pages


@pytest.mark.parametrize(
    ("prompt", "max_tokens"),
    [([], 1), ([96], 1), ([-1], 1), ([1] * 128, 1), ([1], 128), ([1], 0)],
    ids=["empty", "id too large", "negative id", "prompt too long", "answer too long", "no answer"],
)
def test_what_cannot_be_computed_is_refused_and_takes_nothing(
    model: LoadedModel, prompt: list[int], max_tokens: int
) -> None:
    before = model.memory()
    with pytest.raises(InvalidRequest):
        model.open_sequence(prompt, GREEDY, max_tokens=max_tokens)

    assert before == model.memory()


@pytest.mark.req("M0-W-1011", "SYS-2.4.2")
def test_jobs_leave_the_memory_as_it_was_after_load(model: LoadedModel) -> None:
    before = model.memory()
    for seed in range(3):
        run(model, PROMPT, SamplingParams(seed=seed))
    abandoned = model.open_sequence(PROMPT, GREEDY, max_tokens=100)
    model.step()
    model.close_sequence(abandoned)
    model.score(PROMPT)

    assert before == model.memory()


def test_the_context_can_be_filled_to_the_last_token(model: LoadedModel) -> None:
    assert 120 == len(run(model, PROMPT, HOT, num_tokens=120))


def test_a_closed_sequence_closes_again_and_an_unknown_one_too(model: LoadedModel) -> None:
    before = model.memory()
    sequence_id = model.open_sequence(PROMPT, GREEDY, max_tokens=4)
    model.close_sequence(sequence_id)
    model.close_sequence(sequence_id)
    model.close_sequence(SequenceId(12345))

    assert before == model.memory()


@pytest.mark.req("M0-W-1401")
def test_a_closed_model_holds_nothing_and_closes_again(model: LoadedModel) -> None:
    model.open_sequence(PROMPT, GREEDY, max_tokens=4)
    model.close()
    model.close()

    assert 0 == model.memory().used_bytes


@pytest.mark.req("M0-W-1002")
def test_use_changes_nothing_of_a_model(model: LoadedModel) -> None:
    every_token = range(96)
    scores, memory = model.score(every_token), model.memory()
    for sampling in (GREEDY, HOT):
        run(model, PROMPT, sampling)
    abandoned = model.open_sequence(PROMPT, HOT, max_tokens=100)
    model.step()
    with pytest.raises(VramExhausted):
        model.open_sequence(PROMPT, HOT, max_tokens=100)
    model.close_sequence(abandoned)

    assert np.array_equal(scores, model.score(every_token))
    assert memory == model.memory()
    assert model.check_residency()


@pytest.mark.req("M0-W-1012")
def test_a_healthy_model_is_resident(model: LoadedModel) -> None:
    assert model.check_residency()
