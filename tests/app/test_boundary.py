"""What crosses the boundary to a backend, in what order and in which thread, over the life of a worker."""

import http.client
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backends.fake.backend import FakeBackend, FakeDevice
from backends.fake.model import FakeModel
from tests.support.in_process import run, settings_with

JOB_ID, CORRELATION_ID, PROMPT = "job-of-nobodys-business", "cid-of-nobodys-business", "a secret prompt"


@dataclass(frozen=True)
class Call:
    """One call of a backend."""

    name: str
    arguments: str
    thread: str


class Watched:
    """Stands before an object of a backend, passes every call on, and notes it."""

    def __init__(self, target: object, calls: list[Call]) -> None:
        self._target = target
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            full_name = f"{type(self._target).__name__}.{name}"
            self._calls.append(Call(full_name, repr((arguments, named)), threading.current_thread().name))
            result = getattr(self._target, name)(*arguments, **named)
            return Watched(result, self._calls) if isinstance(result, FakeDevice | FakeModel) else result

        return call


def run_one_job(uri: str) -> None:
    body = json.dumps({"job_id": JOB_ID, "prompt": PROMPT, "max_tokens": 3, "seed": 7})
    connection = http.client.HTTPConnection(uri.removeprefix("http://"))
    headers = {"Content-Type": "application/json", "X-Correlation-Id": CORRELATION_ID}
    connection.request("POST", "/execute", body, headers)
    assert b"event: end" in connection.getresponse().read()
    connection.close()


@pytest.fixture
def calls(tmp_path: Path) -> list[Call]:
    calls: list[Call] = []
    backend: Any = Watched(FakeBackend(2**30), calls)
    status, narrator = run(settings_with(tmp_path), backend, when_ready=run_one_job)

    assert 0 == status
    assert CORRELATION_ID in str(narrator.named("execute_end"))
    return calls


@pytest.mark.req("M0-W-1400", "M0-W-1401", "M0-SYS-6.3.2", "SYS-2.4.2")
def test_a_device_is_opened_filled_used_and_given_back_in_this_order(calls: list[Call]) -> None:
    questions = {"FakeDevice.info", "FakeModel.memory"}

    assert [
        "FakeBackend.open_device",
        "FakeDevice.load_model",
        "FakeModel.check_residency",
        "FakeModel.open_sequence",
        *["FakeModel.step"] * 3,
        "FakeModel.close_sequence",
        "FakeModel.close",
        "FakeDevice.close",
    ] == [call.name for call in calls if call.name not in questions]


@pytest.mark.req("M0-W-1050", "M0-W-1051")
def test_one_thread_alone_touches_the_device(calls: list[Call]) -> None:
    assert {"inference"} == {call.thread for call in calls}


@pytest.mark.req("M0-W-1050", "M0-W-1052")
@pytest.mark.parametrize("secret", [JOB_ID, CORRELATION_ID, PROMPT])
def test_neither_ids_nor_text_cross_the_boundary(calls: list[Call], secret: str) -> None:
    assert "seed=7" in str(calls)
    assert secret not in str(calls)
