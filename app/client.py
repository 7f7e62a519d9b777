"""A small blocking client of the worker's HTTP interface, for the demo, the tools and the benchmarks."""

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_S = 120.0
_PIECE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event."""

    name: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer of one job."""

    text: str
    token_ids: list[int]
    end: dict[str, Any]  # data of the `end` event


class JobFailed(Exception):
    """The stream ended with an `error` event, or without any end."""


class WorkerRefused(Exception):
    """The worker answered with an error; the message says of every field that does not hold why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code


class WorkerClient:
    """Talks to one worker. A connection for each call, so calls from several threads do not meet."""

    def __init__(self, base_url: str, *, bearer_token: str | None = None) -> None:
        parts = urlsplit(base_url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port
        self._headers = {"Content-Type": "application/json"}
        if bearer_token is not None:
            self._headers["Authorization"] = f"Bearer {bearer_token}"

    def execute(self, request: Mapping[str, object]) -> Generator[ServerEvent, None, None]:
        """Run a job and yield its events as they arrive; closing the iterator early hangs up.

        Raises:
            WorkerRefused: the answer is no stream.
        """
        connection = self._connect()
        try:
            response = self._send(connection, "POST", "/execute", request)
            if response.status != 200:
                raise _refusal(response)
            yield from _events(response)
        finally:
            connection.close()

    def complete(self, request: Mapping[str, object]) -> Answer:
        """Run a job to its end and gather what it streams.

        Raises:
            WorkerRefused: the answer is no stream.
            JobFailed: the job did not end well.
        """
        text: list[str] = []
        token_ids: list[int] = []
        for event in self.execute(request):
            if event.name == "error":
                raise JobFailed(f"{event.data.get('code')}: {event.data.get('message')}")
            text.append(event.data.get("t", ""))
            token_ids += event.data.get("ids", ())
            if event.name == "end":
                return Answer("".join(text), token_ids, event.data)
        raise JobFailed("the stream closed without an end event")

    def health(self) -> dict[str, Any]:
        return self._json("GET", "/health", None)

    def cancel(self, job_id: str) -> dict[str, Any]:
        return self._json("POST", "/cancel", {"job_id": job_id})

    def metrics(self) -> str:
        """What `GET /metrics` says, as Prometheus text."""
        return self._read("GET", "/metrics", None).decode()

    def _json(self, method: str, path: str, body: Mapping[str, object] | None) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self._read(method, path, body))
        return decoded

    def _read(self, method: str, path: str, body: Mapping[str, object] | None) -> bytes:
        connection = self._connect()
        try:
            response = self._send(connection, method, path, body)
            if response.status >= 400:
                raise _refusal(response)
            return response.read()
        finally:
            connection.close()

    def _connect(self) -> HTTPConnection:
        return HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)

    def _send(
        self, connection: HTTPConnection, method: str, path: str, body: Mapping[str, object] | None
    ) -> HTTPResponse:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, self._headers)
        return connection.getresponse()


def _events(response: HTTPResponse) -> Iterator[ServerEvent]:
    rest = b""
    while piece := response.read1(_PIECE_BYTES):  # lines of a chunked body take http.client far longer
        *messages, rest = (rest + piece).split(b"\n\n")
        for message in messages:
            fields = dict(line.partition(": ")[::2] for line in message.decode().split("\n"))
            if "data" in fields:  # not so a comment
                yield ServerEvent(fields["event"], json.loads(fields["data"]))


def _refusal(response: HTTPResponse) -> WorkerRefused:
    error = json.loads(response.read()).get("error", {})
    fields = [field["message"] for field in error.get("details", {}).get("errors", ())]
    message = "; ".join([error.get("message", ""), *fields])
    return WorkerRefused(response.status, error.get("code", ""), message)
