"""Jobs that fail: time, memory, device, residency; driven tick by tick."""

import pytest

from domain.errors import DeviceError, DeviceLost, KernelLaunchFailed, VramExhausted, WorkerUnhealthy
from ports.job_events import JobFailed, JobStarted, StopReason
from tests.support.bench_worker import Bench
from tests.support.job_events import ended, failure_code
from tests.support.scripted_model import ScriptedModel


def raising(error: Exception, *, at_step: int) -> ScriptedModel:
    def before_step(step: int) -> None:
        if step == at_step:
            raise error

    return ScriptedModel(before_step=before_step)


@pytest.mark.req("M0-W-1101")
def test_a_job_that_runs_too_long_times_out() -> None:
    bench = Bench(inference_timeout_s=5.0)
    _, sink = bench.start(max_tokens=60)
    bench.engine.tick()
    bench.clock.advance(5.1)
    bench.finish()

    assert "INFERENCE_TIMEOUT" == failure_code(sink)
    assert ["timeout"] == [event["outcome"] for event in bench.narrator.named("execute_end")]


@pytest.mark.req("M0-W-1021", "M0-W-1825")
def test_a_job_without_memory_fails_alone_and_the_next_one_heals_the_worker() -> None:
    bench = Bench(ScriptedModel(max_open=0))
    sink = bench.run("first")

    assert [JobStarted, JobFailed] == [type(event) for event in sink.events]
    assert "VRAM_OOM" == failure_code(sink)
    assert (False, True) == (bench.worker.health.healthy, bench.worker.health.resident)

    bench.model._max_open = 1

    assert StopReason.MAX_TOKENS == ended(bench.run("second")).stop_reason
    assert bench.worker.health.healthy


@pytest.mark.req("M0-W-1021")
def test_out_of_memory_in_a_step_takes_only_the_youngest_job() -> None:
    error = VramExhausted(required_bytes=10, available_bytes=1)
    bench = Bench(raising(error, at_step=2), num_slots=2)
    _, elder = bench.start("elder", max_tokens=5)
    bench.engine.tick()
    _, younger = bench.start("younger", max_tokens=5)
    bench.finish()

    assert "VRAM_OOM" == failure_code(younger)
    assert 5 == ended(elder).tokens_out


@pytest.mark.req("M0-W-1500")
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KernelLaunchFailed("launch failed"), "CUDA_ERROR"),
        (DeviceError("NaN logits"), "CUDA_ERROR"),
    ],
)
def test_a_failed_step_costs_the_job_but_not_the_worker(error: DeviceError, code: str) -> None:
    bench = Bench(raising(error, at_step=1))
    sink = bench.run("first", max_tokens=9)

    assert code == failure_code(sink)
    assert bench.worker.health.healthy
    assert StopReason.MAX_TOKENS == ended(bench.run("second")).stop_reason


def test_a_lost_device_makes_the_worker_refuse_for_good() -> None:
    bench = Bench(raising(DeviceLost("context destroyed"), at_step=1))
    sink = bench.run("first", max_tokens=9)

    assert "CUDA_ERROR" == failure_code(sink)
    with pytest.raises(WorkerUnhealthy):
        bench.admit("second")


@pytest.mark.req("M0-W-1012", "SYS-6.3.7")
def test_lost_residency_is_noticed_between_steps_and_never_heals() -> None:
    bench = Bench(residency_check_s=60.0)
    bench.model.resident = False
    bench.engine.tick()

    assert bench.worker.health.resident

    bench.clock.advance(60.1)
    bench.engine.tick()

    assert (False, False) == (bench.worker.health.healthy, bench.worker.health.resident)
    assert ["residency_check_failed"] == bench.narrator.names()
    with pytest.raises(WorkerUnhealthy):
        bench.worker.check_accepting()


def test_a_device_lost_while_idle_is_noticed_by_the_residency_check() -> None:
    class LostModel(ScriptedModel):
        def check_residency(self) -> bool:
            raise DeviceLost("context destroyed")

    bench = Bench(LostModel(), residency_check_s=60.0)
    bench.clock.advance(60.1)
    bench.engine.tick()

    assert not bench.worker.health.usable


@pytest.mark.req("M0-W-1012")
def test_residency_that_cannot_be_asked_for_counts_as_lost_and_a_lost_device_does_not_bring_it_back() -> None:
    class SilentModel(ScriptedModel):
        error: DeviceError = DeviceError("cuPointerGetAttributes: CUDA_ERROR_UNKNOWN")

        def check_residency(self) -> bool:
            raise self.error

    model = SilentModel()
    bench = Bench(model, residency_check_s=60.0)
    for error in (model.error, DeviceLost("context destroyed")):
        model.error = error
        bench.clock.advance(60.1)
        bench.engine.tick()
        assert not bench.worker.health.resident

    assert ["residency_check_failed"] == bench.narrator.names()[:1]
    assert "CUDA_ERROR_UNKNOWN" in str(bench.narrator.named("residency_check_failed")[0])


def test_residency_is_checked_once_an_interval() -> None:
    class CountingModel(ScriptedModel):
        num_checks = 0

        def check_residency(self) -> bool:
            self.num_checks += 1
            return True

    model = CountingModel()
    bench = Bench(model, residency_check_s=60.0)
    for _ in range(7):
        bench.clock.advance(20.5)
        bench.engine.tick()

    assert 2 == model.num_checks


def test_an_idle_engine_sleeps_until_the_next_residency_check() -> None:
    bench = Bench(residency_check_s=60.0)
    bench.clock.advance(45.0)

    assert 15.0 == bench.engine.seconds_to_next_check()
