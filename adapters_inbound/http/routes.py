"""The paths of the worker: read the request, call one use case, translate what comes back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response, post, route
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.types import ASGIApp

from adapters_inbound.http.deadline import deadline_remaining_ms
from adapters_inbound.http.health_reply import health_reply
from adapters_inbound.http.job_response import JobResponse
from adapters_inbound.http.json_body import read_json_object, read_optional_json_object
from adapters_inbound.http.request_edge import correlation_id_of, trace_of
from domain.execute_request import validate_job_id
from domain.worker import Worker
from ports.clock import Clock
from ports.metrics import Metrics
from ports.narrator import Narrator

HttpRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Ports:
    """What the routes call."""

    worker: Worker
    clock: Clock
    narrator: Narrator
    metrics: Metrics
    request_shutdown: Callable[[str], None]  # with the correlation id
    body_timeout_s: float
    ping_s: float


PortsDependency = NamedDependency[SkipValidation[Ports]]


@post("/execute", status_code=200)
async def execute(request: HttpRequest, ports: PortsDependency) -> ASGIApp:
    """Run one job and stream its events."""
    ports.worker.check_accepting()
    body = await read_json_object(request.scope, request.receive, timeout_s=ports.body_timeout_s)
    correlation_id = correlation_id_of(request.scope)
    remaining_ms = deadline_remaining_ms(
        request.scope,
        clock=ports.clock,
        narrator=ports.narrator,
        correlation_id=correlation_id,
        trace_id=trace_of(request.scope).trace_id,
    )
    return JobResponse(ports.worker, ports.narrator, body, correlation_id, remaining_ms, ping_s=ports.ping_s)


@post("/cancel", status_code=202)
async def cancel(request: HttpRequest, ports: PortsDependency) -> Response[bytes]:
    """Stop a job; one that is unknown or over is stopped already."""
    body = await read_json_object(request.scope, request.receive, timeout_s=ports.body_timeout_s)
    job_id = validate_job_id(body)
    ports.worker.cancel(
        job_id, correlation_id=correlation_id_of(request.scope), trace_id=trace_of(request.scope).trace_id
    )
    return _json({"job_id": job_id, "status": "accepted"})


@post("/shutdown", status_code=202)
async def shutdown(request: HttpRequest, ports: PortsDependency) -> Response[bytes]:
    """End the worker in order, as SIGTERM does. From the answer on it takes no job."""
    await read_optional_json_object(request.scope, request.receive, timeout_s=ports.body_timeout_s)
    ports.worker.drain()
    ports.request_shutdown(correlation_id_of(request.scope))
    return _json({"status": "accepted"})


@route("/health", http_method=["GET", "HEAD"], sync_to_thread=False)
def health(ports: PortsDependency) -> Response[bytes]:
    """Say how the worker is; always 200, the state is in the body."""
    return _json(health_reply(ports.worker))


@route("/metrics", http_method=["GET", "HEAD"], sync_to_thread=False)
def metrics(ports: PortsDependency) -> Response[bytes]:
    """Say what the jobs have cost, in Prometheus' text format."""
    text, content_type = ports.metrics.render()
    # As a header, since Litestar adds a charset to every media type of text.
    return Response(text, headers={"content-type": content_type})


def _json(payload: object) -> Response[bytes]:
    return Response(msgspec.json.encode(payload), media_type="application/json")
