"""The HTTP server, run inside the caller's own event loop."""

import asyncio
import functools
import logging
import socket
from contextlib import AbstractContextManager, nullcontext, suppress

import uvicorn
from litestar.types import ASGIApp

from adapters_inbound.http.connection_guard import ConnectionGuard, ConnectionLimits
from domain.errors import InvalidConfiguration
from ports.ids import Ids

_BACKLOG = 2048
_POLL_S = 0.01


class HttpServer:
    """Serves one application on one bound socket, from `start` to `stop`. Signals are the caller's affair."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, *, ids: Ids, limits: ConnectionLimits | None = None
    ) -> None:
        limits = limits or ConnectionLimits()
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=functools.partial(ConnectionGuard, limits=limits, ids=ids),  # type: ignore[arg-type] # it makes one
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=limits.keep_alive_s,  # type: ignore[arg-type] # it goes into call_later
        )
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._uvicorn = _Uvicorn(config)
        self._ticks: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            InvalidConfiguration: another process, bound to the same port, was first to listen.
        """
        await self._uvicorn.on_tick(0)  # the Date header, before the first response
        try:
            self._listener.listen(_BACKLOG)  # here, because uvloop keeps silent about a `listen` that fails
        except OSError as error:
            self._listener.close()
            raise InvalidConfiguration(f"cannot listen on port {self.port}: {error}") from error
        await self._uvicorn.startup([self._listener])
        self._ticks = asyncio.create_task(self._uvicorn.main_loop())

    async def stop(self, *, timeout_s: float) -> None:
        """Stop listening, close idle connections, let responses end; after `timeout_s` cut them off.

        Idempotent, and harmless before `start`.
        """
        for server in self._uvicorn.servers:
            server.close()
        self._listener.close()
        state = self._uvicorn.server_state
        for connection in list(state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn offers no event
                    await asyncio.sleep(_POLL_S)
        # Aborting is a disconnect to the requests, which then end by themselves, each leaving its job.
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        if self._ticks is not None:
            self._ticks.cancel()


class _Uvicorn(uvicorn.Server):
    """Leaves signals alone: uvicorn would catch them, and raise them again when it is done."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        config.load()
        self.servers = []  # so that one that never started can be stopped
        self.lifespan = config.lifespan_class(config)

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override] # nothing to yield
        return nullcontext()
