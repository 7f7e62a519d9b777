"""Only callers that know the token pass."""

import hashlib
import hmac

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from adapters_inbound.http.error_reply import protocol_error
from adapters_inbound.http.request_edge import correlation_id_of
from adapters_inbound.http.request_headers import single_header

_OPEN_PATHS = frozenset({"/health"})


class BearerGuard:
    """Refuses every path but the open ones, known or not, without `Authorization: Bearer <token>`."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._token_digest = _digest(token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        if self._knows_token(scope):
            await self._app(scope, receive, send)
            return
        challenge = {"www-authenticate": "Bearer"}
        reply = protocol_error(401, "a valid bearer token is required", correlation_id_of(scope), **challenge)
        await reply.asgi()(scope, receive, send)

    def _knows_token(self, scope: HTTPScope) -> bool:
        scheme, _, given = (single_header(scope, b"authorization") or b"").partition(b" ")
        # Digests are of one length, so the time tells nothing of the token's.
        matches = hmac.compare_digest(_digest(given.strip()), self._token_digest)
        return matches and scheme.lower() == b"bearer"


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
