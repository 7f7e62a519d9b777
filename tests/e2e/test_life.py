"""The whole life of a real worker process, seen from outside."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.client import ServerEvent, WorkerRefused
from app.launcher import WorkerProcessHandle

Start = Callable[..., WorkerProcessHandle]


def run(worker: WorkerProcessHandle, job_id: str = "job", **fields: object) -> list[ServerEvent]:
    request = {"job_id": job_id, "prompt": "hello", "max_tokens": 8, "temperature": 0, **fields}
    return list(worker.client.execute(request))


def ids_of(events: list[ServerEvent]) -> list[int]:
    return [i for event in events for i in event.data.get("ids", [])]


def last(events: list[ServerEvent]) -> ServerEvent:
    return events[-1]


def start_in_background(
    worker: WorkerProcessHandle, **fields: object
) -> tuple[threading.Thread, list[ServerEvent]]:
    """Run a job in a thread; return once its first token has come."""
    events: list[ServerEvent] = []
    has_token = threading.Event()

    def consume() -> None:
        request = {"job_id": "long", "prompt": "hello", "max_tokens": 400, "temperature": 0, **fields}
        for event in worker.client.execute(request):
            events.append(event)
            if event.name == "token":
                has_token.set()

    thread = threading.Thread(target=consume)
    thread.start()
    assert has_token.wait(20)
    return thread, events


@pytest.mark.req("M0-W-1900", "M0-W-1621", "M0-W-1820", "M0-W-1110")
def test_a_full_life_is_told_in_order_and_ends_with_status_0(start: Start) -> None:
    worker = start()
    run(worker)

    assert 0 == worker.stop()
    expected = [
        "startup",
        "model_load_start",
        *["model_load_progress"] * 5,
        "model_load_complete",
        "ready",
        "execute_start",
        "execute_end",
        "shutdown",
    ]
    assert expected == [event["event"] for event in worker.narration]
    assert [0, 25, 50, 75, 100] == [event["percent"] for event in worker.events("model_load_progress")]
    for event in worker.narration:
        assert {"worker_id", "model_ref", "gpu_device", "timestamp", "level", "human"} <= event.keys()


@pytest.mark.req("M0-W-1826", "M0-W-1030")
def test_the_same_seed_gives_the_same_tokens_and_another_gives_others(worker: WorkerProcessHandle) -> None:
    greedy = [ids_of(run(worker, seed=seed)) for seed in (1, 2)]
    drawn = [ids_of(run(worker, seed=seed, temperature=0.9, max_tokens=24)) for seed in (1, 1, 2**64 - 1)]

    assert greedy[0] == greedy[1]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.req("M0-W-1826")
def test_another_worker_gives_the_same_tokens(worker: WorkerProcessHandle, start: Start) -> None:
    other = start()
    request: dict[str, Any] = {"seed": 42, "temperature": 0.9, "max_tokens": 32}

    assert ids_of(run(worker, **request)) == ids_of(run(other, **request))


@pytest.mark.req("M0-W-1320", "M0-W-1364")
def test_health_reports_what_is_loaded(worker: WorkerProcessHandle) -> None:
    health = worker.client.health()

    assert ("healthy", "tiny-random", True, "Q8_0", "gguf-bpe", 259, 512) == tuple(
        health[field]
        for field in (
            "status",
            "model",
            "resident",
            "quant_kind",
            "tokenizer_kind",
            "vocab_size",
            "context_length",
        )
    )


@pytest.mark.req("M0-W-1330", "M0-W-1610")
def test_a_cancel_frees_the_slot_within_100_ms(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@*:20")

    def cancel_one() -> float:
        thread, events = start_in_background(worker)
        asked_at_s = time.monotonic()
        worker.client.cancel("long")
        thread.join()
        ended_after_s = time.monotonic() - asked_at_s

        assert "error" == last(events).name
        assert ("CANCELLED", False) == (last(events).data["code"], last(events).data["retriable"])
        return ended_after_s

    assert best_of_three(cancel_one) < 0.1
    assert "end" == last(run(worker, max_tokens=2)).name


@pytest.mark.req("M0-W-1611")
def test_a_disconnect_frees_the_slot_within_100_ms(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@*:20")

    def leave_one() -> float:
        stream = worker.client.execute({"job_id": "gone", "prompt": "hello", "max_tokens": 400})
        next(event for event in stream if event.name == "token")
        left_at_s = time.monotonic()
        stream.close()
        while worker.client.health()["state"] != "ready":
            time.sleep(0.002)
        return time.monotonic() - left_at_s

    assert best_of_three(leave_one) < 0.1
    assert "end" == last(run(worker, max_tokens=2)).name
    worker.stop()  # then all that it told has been read
    assert {"cancelled", "success"} == {event["outcome"] for event in worker.events("execute_end")}


def best_of_three(measure: Callable[[], float]) -> float:
    """The machine that runs the tests may be busy with something else at any one moment."""
    return min(measure() for _ in range(3))


@pytest.mark.req("M0-W-1301")
def test_a_second_job_is_refused_with_advice_and_the_first_goes_on(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@*:5")
    thread, events = start_in_background(worker, max_tokens=40)
    connection = http.client.HTTPConnection(worker.base_url.removeprefix("http://"))
    body = '{"job_id": "second", "prompt": "hello"}'
    connection.request("POST", "/execute", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    connection.close()
    thread.join()

    assert (503, "1") == (response.status, response.getheader("Retry-After"))
    assert "end" == last(events).name


@pytest.mark.req("M0-W-1101")
def test_a_job_that_takes_too_long_times_out(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@*:50", "--inference-timeout-sec", "0.2")

    assert "INFERENCE_TIMEOUT" == last(run(worker, max_tokens=100)).data["code"]
    assert "healthy" == worker.client.health()["status"]


@pytest.mark.req("M0-W-1021", "M0-W-1825")
def test_a_job_that_does_not_fit_the_cache_fails_and_the_next_one_runs(start: Start) -> None:
    worker = start("--fake-fault", "out-of-memory@2")
    baseline = worker.client.health()["vram_bytes_used"]
    failed = run(worker)

    assert ["started", "error"] == [failed[0].name, last(failed).name]
    assert ("VRAM_OOM", "unhealthy") == (last(failed).data["code"], worker.client.health()["status"])
    assert "end" == last(run(worker)).name

    health = worker.client.health()
    assert ("healthy", baseline) == (health["status"], health["vram_bytes_used"])


@pytest.mark.req("M0-W-1500")
@pytest.mark.parametrize("fault", ["launch-failure@1", "nan-logits@1"])
def test_a_failed_step_costs_one_job(fault: str, start: Start) -> None:
    worker = start("--fake-fault", fault)

    assert "CUDA_ERROR" == last(run(worker)).data["code"]
    assert "end" == last(run(worker)).name


def test_a_lost_device_makes_the_worker_refuse_and_still_leave_in_order(start: Start) -> None:
    worker = start("--fake-fault", "device-lost@1")

    assert "CUDA_ERROR" == last(run(worker)).data["code"]
    with pytest.raises(WorkerRefused, match="503 WORKER_UNHEALTHY"):
        run(worker)
    assert "unhealthy" == worker.client.health()["status"]
    assert 0 == worker.stop()


@pytest.mark.req("M0-W-1012")
def test_lost_residency_is_noticed_told_and_final(start: Start) -> None:
    worker = start("--fake-fault", "residency-lost@0", "--residency-check-sec", "0.1")
    run(worker)
    deadline_s = time.monotonic() + 10
    while worker.client.health()["resident"] and time.monotonic() < deadline_s:
        time.sleep(0.02)

    health = worker.client.health()

    assert (False, "unhealthy") == (health["resident"], health["status"])
    with pytest.raises(WorkerRefused, match="503 WORKER_UNHEALTHY"):
        run(worker)
    worker.stop()  # then all that it told has been read
    assert ["FATAL"] == [event["level"] for event in worker.events("residency_check_failed")]


@pytest.mark.req("M0-W-1340", "M0-W-1630")
def test_sigterm_lets_the_running_job_finish_while_new_ones_are_refused(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@*:10")
    thread, events = start_in_background(worker, max_tokens=100)
    worker.signal(signal.SIGTERM)
    while worker.client.health()["state"] != "draining":
        time.sleep(0.01)
    with pytest.raises(WorkerRefused, match="503 SHUTTING_DOWN"):
        run(worker, "new")
    thread.join()

    assert "end" == last(events).name
    assert 0 == worker.wait()
    worker.stop()  # then all that it told has been read
    assert [] == [event for event in worker.narration if event["level"] == "ERROR"]


@pytest.mark.req("M0-W-1340")
def test_sigterm_cancels_what_does_not_finish_in_time(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@*:20", "--shutdown-timeout-sec", "0.5")
    thread, events = start_in_background(worker)
    signalled_at_s = time.monotonic()
    worker.signal(signal.SIGTERM)
    status = worker.wait()
    left_after_s = time.monotonic() - signalled_at_s
    thread.join()

    assert (0, "CANCELLED") == (status, last(events).data["code"])
    assert left_after_s < 2.0


@pytest.mark.req("M0-W-1340")
def test_ctrl_c_ends_an_idle_worker_with_status_0(start: Start) -> None:
    worker = start()
    worker.signal(signal.SIGINT)

    assert 0 == worker.wait()
    worker.stop()  # then all that it told has been read
    assert ["SIGINT"] == [event["reason"] for event in worker.events("shutdown")]


@pytest.mark.req("M0-W-1340")
def test_a_second_signal_ends_the_worker_at_once(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@*:20", "--shutdown-timeout-sec", "30")
    thread, _ = start_in_background_ignoring_the_end(worker)
    worker.signal(signal.SIGTERM)
    while worker.client.health()["state"] != "draining":
        time.sleep(0.01)
    worker.signal(signal.SIGTERM)

    assert 128 + signal.SIGTERM == worker.wait(5)
    thread.join()


def start_in_background_ignoring_the_end(
    worker: WorkerProcessHandle,
) -> tuple[threading.Thread, threading.Event]:
    has_token = threading.Event()

    def consume() -> None:
        try:
            for event in worker.client.execute({"job_id": "long", "prompt": "hello", "max_tokens": 400}):
                if event.name == "token":
                    has_token.set()
        except (OSError, http.client.HTTPException):
            pass  # the worker is killed in the middle of the stream

    thread = threading.Thread(target=consume)
    thread.start()
    assert has_token.wait(20)
    return thread, has_token


def test_a_signal_while_loading_ends_the_worker_in_order(command: list[str]) -> None:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "startup" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)

    assert (0, "") == (process.returncode, err)
    assert '"event":"shutdown"' in out.splitlines()[-1]


def test_a_signal_while_the_pool_manager_is_not_answering_ends_the_worker_in_order(
    command: list[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/ready"
        with subprocess.Popen(
            [*command, "--callback-url", url], stdout=subprocess.PIPE, text=True
        ) as process:
            silent.accept()[0].close()
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=20)

    assert 0 == process.returncode
    assert '"event":"shutdown"' in out.splitlines()[-1]
    assert '"event":"ready"' not in out


@pytest.mark.req("M0-W-1902")
def test_neither_prompt_nor_answer_is_ever_in_the_log(start: Start) -> None:
    worker = start()
    answer = "".join(e.data.get("t", "") for e in run(worker, prompt="my secret prompt", max_tokens=40))
    worker.stop()

    log = repr(worker.narration)

    assert "secret" not in log
    assert answer not in log


def test_a_worker_leaves_no_process_behind(start: Start) -> None:
    worker = start()
    pid = worker.pid
    worker.stop()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
