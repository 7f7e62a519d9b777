"""A path is exactly what it is."""

from collections.abc import Collection

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from adapters_inbound.http.error_reply import protocol_error
from adapters_inbound.http.request_edge import correlation_id_of


class ExactPath:
    """Knows no path but `paths`: Litestar takes `//execute` and `/execute/` for `/execute`.

    It is no guard of Litestar's, which would copy the route's handler for every request.
    """

    def __init__(self, app: ASGIApp, *, paths: Collection[str]) -> None:
        self._app = app
        self._paths = frozenset(path.encode() for path in paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["raw_path"] in self._paths:
            await self._app(scope, receive, send)
            return
        await protocol_error(404, "Not Found", correlation_id_of(scope)).asgi()(scope, receive, send)
