"""The HTTP face of the worker, assembled."""

from collections.abc import Callable
from typing import Any

from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, ExceptionHandler

from adapters_inbound.http.bearer_guard import BearerGuard
from adapters_inbound.http.defects import narrate_defect
from adapters_inbound.http.error_reply import reply_to
from adapters_inbound.http.exact_path import ExactPath
from adapters_inbound.http.request_edge import RequestEdge, correlation_id_of, trace_of
from adapters_inbound.http.routes import Ports, cancel, execute, health, shutdown
from adapters_inbound.http.routes import metrics as metrics_route
from adapters_inbound.http.web_page_guard import WebPageGuard
from domain.errors import WorkerError
from domain.worker import Worker
from ports.clock import Clock
from ports.ids import Ids
from ports.metrics import Metrics
from ports.narrator import Narrator
from ports.tracing import Tracer


def create_app(
    worker: Worker,
    *,
    clock: Clock,
    ids: Ids,
    narrator: Narrator,
    metrics: Metrics,
    tracer: Tracer,
    request_shutdown: Callable[[str], None],
    bearer_token: str | None = None,
    send_timeout_s: float = 30.0,
    body_timeout_s: float = 10.0,
    ping_s: float = 15.0,
) -> ASGIApp:
    """Build the ASGI application.

    Args:
        worker: the use cases behind the routes.
        clock: for `X-Deadline`.
        ids: for requests that bring no correlation id.
        metrics: rendered for `/metrics`.
        tracer: continues the traces of callers.
        narrator: told of defects and of deadlines that make no sense.
        request_shutdown: told the correlation id when `/shutdown` has made the worker drain; ends it.
        bearer_token: asked of every caller of anything but `/health`; None asks nobody.
        send_timeout_s: a client that takes nothing for so long is given up.
        body_timeout_s: a body must have arrived after so long.
        ping_s: a stream silent for so long carries a comment, so that nobody on the way closes it.
    """
    ports = Ports(
        worker, clock, narrator, metrics, request_shutdown, body_timeout_s=body_timeout_s, ping_s=ping_s
    )
    answer_error = _error_handler(narrator)
    routes = [execute, cancel, shutdown, health, metrics_route]
    app: ASGIApp = Litestar(
        route_handlers=routes,
        dependencies={"ports": Provide(lambda: ports, sync_to_thread=False)},
        exception_handlers={WorkerError: answer_error, HTTPException: answer_error, Exception: answer_error},
        openapi_config=None,
        logging_config=None,  # the narration is the only log
        debug=False,  # not from the environment: debug pages show the inside
        pdb_on_exception=False,
    )
    app = ExactPath(app, paths=[path for route in routes for path in route.paths])
    if bearer_token is not None:
        app = BearerGuard(app, token=bearer_token)
    return RequestEdge(
        WebPageGuard(app), ids=ids, narrator=narrator, tracer=tracer, send_timeout_s=send_timeout_s
    )


def _error_handler(narrator: Narrator) -> "ExceptionHandler[Exception]":
    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        correlation_id = correlation_id_of(request.scope)
        reply = reply_to(error, correlation_id)
        if reply.status == 500:
            narrate_defect(narrator, error, correlation_id, trace_id=trace_of(request.scope).trace_id)
        return reply.litestar()

    return handle
