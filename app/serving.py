"""The HTTP server around a worker. Imported while the model loads: its libraries take as long as a device."""

import socket
from collections.abc import Callable

from adapters_inbound.http.application import create_app
from adapters_inbound.http.server import HttpServer
from app.container import Container
from domain.worker import Worker


def make_server(
    container: Container, worker: Worker, listener: socket.socket, *, request_shutdown: Callable[[str], None]
) -> HttpServer:
    """A server of `worker` on `listener`, not started; `request_shutdown` takes a correlation id."""
    settings = container.settings()
    app = create_app(
        worker,
        narrator=container.narrator(),
        metrics=container.metrics(),
        tracer=container.tracer(),
        ids=container.ids(),
        clock=container.clock(),
        request_shutdown=request_shutdown,
        bearer_token=settings.bearer_token,
        send_timeout_s=min(30.0, settings.inference_timeout_sec),
    )
    return HttpServer(app, listener, ids=container.ids())
