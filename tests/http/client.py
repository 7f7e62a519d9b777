"""A client that speaks bytes, so that it can also say what no decent client would."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Reply:
    """One complete response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    def header(self, name: str) -> str | None:
        values = [value for each, value in self.headers if each == name]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    name: str
    data: Any


class Connection:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, *, receive_buffer_bytes: int | None = None) -> Self:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setblocking(False)
        if receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return cls(*await asyncio.open_connection(sock=sock, limit=2**16))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    def send(self, data: bytes) -> None:
        if not self.writer.transport.is_closing():
            self.writer.write(data)

    def request(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        lines = {"host": "worker", **(headers or {})}
        if body is not None:
            lines = {"content-length": str(len(body)), "content-type": "application/json", **lines}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        self.send(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b""))

    async def call(
        self, method: str, target: str, payload: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request and read its response; bytes go as they are, other payloads as JSON."""
        body = payload if payload is None or isinstance(payload, bytes) else json.dumps(payload).encode()
        self.request(method, target, body, headers)
        return await self.reply(has_body=method != "HEAD")

    async def execute(
        self, job_id: str = "job", headers: Mapping[str, str] | None = None, **fields: Any
    ) -> Reply:
        """Start a job and read the head of the answer; read `events` next where it is a stream."""
        body = json.dumps({"job_id": job_id, "prompt": "hi", **fields}).encode()
        self.request("POST", "/execute", body, headers)
        status, lines = await self.head()
        if status == 200:
            return Reply(status, lines, b"")
        return Reply(status, lines, await self._body(dict(lines)))

    async def reply(self, *, has_body: bool = True) -> Reply:
        status, headers = await self.head()
        body = await self._body(dict(headers)) if has_body and status != 204 else b""
        return Reply(status, headers, body)

    async def head(self) -> tuple[int, list[tuple[str, str]]]:
        status_line, *lines = (await self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        return int(status_line.split()[1]), headers

    async def chunk(self) -> bytes:
        """One chunk of a chunked body; empty at its end."""
        size = int(await self._until(b"\r\n"), 16)
        async with asyncio.timeout(TIMEOUT_S):
            data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def events(self) -> AsyncIterator[Event]:
        """The events of a stream, comments left out, to its end."""
        while message := await self.chunk():
            if not message.startswith(b":"):
                yield parse_event(message)

    async def all_events(self) -> list[Event]:
        return [event async for event in self.events()]

    async def next_event(self) -> Event:
        return await anext(self.events())

    async def closed(self) -> bool:
        """Whether the server closes the connection without another byte."""
        async with asyncio.timeout(TIMEOUT_S):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True

    def leave(self) -> None:
        """Close with FIN."""
        self.writer.close()

    def reset(self) -> None:
        """Close with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            async with asyncio.timeout(TIMEOUT_S):
                return await self.reader.readexactly(int(headers["content-length"]))
        body = b""
        while data := await self.chunk():
            body += data
        return body

    async def _until(self, end: bytes) -> bytes:
        async with asyncio.timeout(TIMEOUT_S):
            return await self.reader.readuntil(end)


def parse_event(message: bytes) -> Event:
    """Read one message as strictly as the specification writes it."""
    assert message.endswith(b"\n\n")
    name_line, data_line = message[:-2].split(b"\n")
    assert name_line.startswith(b"event: ")
    assert data_line.startswith(b"data: ")
    return Event(name_line[7:].decode(), json.loads(data_line[6:]))
