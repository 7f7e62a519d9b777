"""No web page may drive a worker."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from adapters_inbound.http.error_reply import protocol_error
from adapters_inbound.http.request_edge import correlation_id_of

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class WebPageGuard:
    """Refuses what a page in a browser sends and what would change something.

    A page anywhere on the web can have the browser that shows it POST to a loopback port: a form, plain text,
    or an empty body without even a Content-Type. Browsers put `Origin` on every POST, be it to another site,
    to the page's own (which is what a rebound DNS name looks like) or from a sandbox (`null`). No other
    client sends one, and the worker serves no page that could.

    The Host header is not looked at: callers reach a worker by any address, any name and through any proxy.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] in _SAFE_METHODS or not _has_origin(scope):
            await self._app(scope, receive, send)
            return
        reply = protocol_error(403, "requests of web pages are not taken", correlation_id_of(scope))
        await reply.asgi()(scope, receive, send)


def _has_origin(scope: Scope) -> bool:
    return any(name == b"origin" for name, _ in scope["headers"])
