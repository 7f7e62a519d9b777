"""A worker kept busy by hand, with a record of all that was said to it and by it."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

import app.models
from app.client import WorkerClient, WorkerRefused
from app.demo import MODEL_ON_BOARD

TOKEN = "Tq7-the-workers-own-bearer-token"


@dataclass
class BusyRun:
    """One real worker on the model on board, at its most talkative, its two outputs in files of `folder`."""

    folder: Path
    faults: Sequence[str]
    said: list[str] = field(default_factory=list)  # prompts, answers, stop sequences, bodies, headers

    def __enter__(self) -> Self:
        model = Path(app.models.__file__).parent / MODEL_ON_BOARD
        options = [f"--model={model}", f"--worker-id={uuid.uuid4()}", "--gpu-device=0", "--port=0"]
        options += ["--backend=fake", "--log-level=TRACE", "--inference-timeout-sec=2"]
        options += [f"--fake-fault={fault}" for fault in self.faults]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app", *options],
                stdout=out,
                stderr=err,
                env=os.environ | {"LLORCH_WORKER_TOKEN": TOKEN, "LLORCH_LOG_FORMAT": "json"},
            )
        try:
            self._base_url = self._wait_until_ready()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self._client = WorkerClient(self._base_url, bearer_token=TOKEN)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    @property
    def log(self) -> str:
        """Both outputs as they are."""
        return self._out.read_text() + self._err.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.read_text().splitlines()]

    def execute(self, prompt: str, *, stop: Sequence[str] = (), **fields: object) -> str:
        """Run one job, however it ends; its answer."""
        request = {"job_id": "busy", "prompt": prompt, "max_tokens": 24, "stop": stop, "seed": 1, **fields}
        self._note(prompt, *stop)
        text = ""
        with suppress(WorkerRefused):
            text = "".join(event.data.get("t", "") for event in self._client.execute(request))
        self._note(text)
        return text

    def interrupt(self, prompt: str, *, cancel: bool) -> None:
        """Stop one job after its first token, by a cancel or by hanging up."""
        request = {"job_id": "stopped", "prompt": prompt, "max_tokens": 400, "temperature": 2, "seed": 1}
        text = ""
        stream = self._client.execute(request)
        for event in stream:
            text += event.data.get("t", "")
            if event.name == "token":
                if not cancel:
                    break
                self._client.cancel("stopped")
        stream.close()
        self._note(prompt, text)
        while self._client.health()["state"] != "ready":
            time.sleep(0.005)

    def post(self, target: str, content: str, **headers: str) -> int:
        """Send a request as it is, and return its status."""
        self._note(target, content, *headers.values())
        sent = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(self._base_url + target, content=content.encode(), headers=sent).status_code

    def _note(self, *texts: str) -> None:
        self.said += texts

    def _wait_until_ready(self) -> str:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s and self._process.poll() is None:
            for line in self._out.read_text().splitlines(keepends=True):
                if line.endswith("\n") and json.loads(line)["event"] == "ready":
                    return str(json.loads(line)["uri"])
            time.sleep(0.02)
        raise AssertionError(self._err.read_text())

    @property
    def _out(self) -> Path:
        return self.folder / "out"

    @property
    def _err(self) -> Path:
        return self.folder / "err"
