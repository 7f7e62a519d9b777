"""The answer to a valid `/execute`: one job, run and streamed."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import cast

from litestar.types import HTTPResponseBodyEvent, HTTPScope, Message, Receive, Scope, Send

from adapters_inbound.http.defects import narrate_defect
from adapters_inbound.http.event_encoder import PING, EventEncoder
from adapters_inbound.http.job_event_stream import JobEventStream
from adapters_inbound.http.job_trace import JobTrace
from adapters_inbound.http.request_edge import trace_of
from domain.errors import WorkerError
from domain.job import Job
from domain.worker import Worker
from ports.job_events import JobEnded, JobFailed
from ports.narrator import Narrator
from ports.tracing import RequestTrace

# Tokenized in less time than it takes to have a thread do it: a fifth of a millisecond, of the one to two
# that a first token costs besides the model.
_SHORT_TEXT_CHARS = 256


@dataclass(frozen=True, slots=True)
class JobResponse:
    """An ASGI application that admits a job, streams its events, and leaves it.

    The job's life lies inside one call. Whatever ends the call (the terminal event, a client that goes away
    while its text is tokenized or between two tokens, a cancelled task, a defect), the slot is free after it.
    """

    worker: Worker
    narrator: Narrator
    body: Mapping[str, object]
    correlation_id: str
    deadline_remaining_ms: int | None
    ping_s: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trace = trace_of(cast("HTTPScope", scope))  # the route takes nothing else
        job = self.worker.admit(
            self.body,
            correlation_id=self.correlation_id,
            deadline_remaining_ms=self.deadline_remaining_ms,
            trace_id=trace.trace_id,
        )
        client_gone = asyncio.create_task(_disconnect(receive))
        try:
            if await self._prepare(job, client_gone):
                await self._stream(job, client_gone, trace, send)
        finally:
            client_gone.cancel()
            self.worker.leave(job)

    async def _prepare(self, job: Job, client_gone: "asyncio.Task[None]") -> bool:
        """Tokenize, a long text in a thread; false where the client left before it was done."""
        request = job.request
        if sum(map(len, (request.prompt, *request.stop))) <= _SHORT_TEXT_CHARS:
            self.worker.prepare(job)
            return not client_gone.done()
        preparing = asyncio.get_running_loop().run_in_executor(None, self.worker.prepare, job)
        try:
            await asyncio.wait({preparing, client_gone}, return_when=asyncio.FIRST_COMPLETED)
            if preparing.done():
                preparing.result()
            return preparing.done()
        finally:
            preparing.cancel()  # the thread runs on; nobody waits for it

    async def _stream(
        self, job: Job, client_gone: "asyncio.Task[None]", trace: RequestTrace, send: Send
    ) -> None:
        events = JobEventStream(asyncio.get_running_loop())
        client_gone.add_done_callback(lambda _: events.close())
        encoder = EventEncoder()
        with closing(JobTrace(trace, job)) as job_trace:
            self.worker.start(job, events)
            await send(_head())
            try:
                await self._pump(events, encoder, job_trace, client_gone, send)
            except Exception as error:  # a stream that has begun must still end with a terminal event
                narrate_defect(self.narrator, error, self.correlation_id, trace_id=trace.trace_id)
                failure = JobFailed(
                    WorkerError.code, "internal error", WorkerError.retriable, self.correlation_id
                )
                job_trace.observe(failure)
                await send(_chunk(encoder.encode(failure), last=True))

    async def _pump(
        self,
        events: JobEventStream,
        encoder: EventEncoder,
        job_trace: JobTrace,
        client_gone: "asyncio.Task[None]",
        send: Send,
    ) -> None:
        while not client_gone.done():
            batch = await events.take(timeout_s=self.ping_s)
            if not batch:
                await send(_chunk(PING))
            for event in batch:
                job_trace.observe(event)
                terminal = isinstance(event, JobEnded | JobFailed)
                await send(_chunk(encoder.encode(event), last=terminal))
                if terminal:
                    return
                # Sending into a socket with room does not suspend: without this a fast job starves the loop.
                await asyncio.sleep(0)
                if client_gone.done():
                    return


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _head() -> Message:
    return {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
        ],
    }


def _chunk(body: bytes, *, last: bool = False) -> HTTPResponseBodyEvent:
    return {"type": "http.response.body", "body": body, "more_body": not last}
