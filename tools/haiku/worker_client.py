"""A client of the worker's POST /execute on the standard library alone."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole answer of one job."""

    text: str
    num_tokens: int
    stop_reason: str


class WorkerError(Exception):
    """The worker refused the job, failed in it, or closed the stream early."""


class WorkerClient:
    """One connection a job, as the worker closes the stream after the last event."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def execute(self, *, job_id: str, prompt: str, max_tokens: int, temperature: float, seed: int) -> Reply:
        """Run one job to its end.

        Raises:
            WorkerError: a status other than 200, an `error` event, or a stream without its end.
        """
        fields = {"job_id": job_id, "prompt": prompt, "max_tokens": max_tokens}
        body = json.dumps({**fields, "temperature": temperature, "seed": seed})
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", "/execute", body.encode(), self._headers)
            response = connection.getresponse()
            if response.status != 200:
                raise WorkerError(f"status {response.status}: {response.read(2000)!r}")
            return collect(events(response))
        finally:
            connection.close()


def events(stream: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, data) of each event; comments keep the connection alive and say nothing."""
    name, data = "", ""
    for raw in stream:
        line = raw.decode("utf-8").rstrip("\r\n")
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data += line[5:].removeprefix(" ")
        elif not line and data:
            yield name, json.loads(data)
            name, data = "", ""


def collect(stream: Iterator[tuple[str, dict[str, Any]]]) -> Reply:
    """Join the fragments up to the `end` event."""
    fragments: list[str] = []
    for name, data in stream:
        if name == "token":
            fragments.append(str(data["t"]))
        elif name == "end":
            return Reply("".join(fragments), int(data["tokens_out"]), str(data["stop_reason"]))
        elif name == "error":
            raise WorkerError(f"{data.get('code')}: {data.get('message')}")
    raise WorkerError("the stream closed without an end event")
