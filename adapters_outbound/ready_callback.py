"""The ready callback over HTTP (spec §8)."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import httpx

from adapters_outbound.local_address import reachable_uri
from domain.errors import CallbackFailed
from ports.ids import Ids
from ports.narrator import Level, Narrator
from ports.ready_notifier import ReadyNotice

_ATTEMPT_TIMEOUT_S = 5.0
_BACKOFF_S = (1.0, 2.0, 4.0)
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


def can_be_called(url: str) -> bool:
    """Whether a notifier can use this http or https URL, as far as that can be said without a connection."""
    try:
        host = httpx.Request("POST", url).url.raw_host.decode()
    except (httpx.InvalidURL, UnicodeError):  # an IDNA error is of the latter kind
        return False
    return ":" in host or _HOST_NAME.fullmatch(host) is not None


class HttpReadyNotifier:
    """POSTs the notice to one URL: one try and three retries, redirects not followed.

    Args:
        sleep: waits between tries; a test's own for speed.
        attempt_timeout_s: from the attempt's begin to the receiver's status.
    """

    def __init__(
        self,
        url: str,
        *,
        ids: Ids,
        narrator: Narrator,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        attempt_timeout_s: float = _ATTEMPT_TIMEOUT_S,
    ) -> None:
        self._url = url
        self._ids = ids
        self._narrator = narrator
        self._sleep = sleep
        self._attempt_timeout_s = attempt_timeout_s

    async def notify(self, notice: ReadyNotice) -> None:
        correlation_id = self._ids.correlation_id()
        async with httpx.AsyncClient(timeout=self._attempt_timeout_s, trust_env=False) as client:
            for attempt, backoff_s in enumerate((*_BACKOFF_S, None), start=1):
                problem, final = await self._attempt(client, notice, correlation_id)
                self._tell(attempt, problem, correlation_id)
                if problem is None:
                    return
                if final or backoff_s is None:
                    raise CallbackFailed(
                        f"{self._receiver} could not be told after {attempt} attempts: {problem}; "
                        "look at --callback-url, and at who listens there"
                    )
                await self._sleep(backoff_s)

    async def _attempt(
        self, client: httpx.AsyncClient, notice: ReadyNotice, correlation_id: str
    ) -> tuple[str | None, bool]:
        """(what went wrong or None, whether trying again is useless)."""
        try:
            status = await self._status(client, notice, correlation_id)
        except TimeoutError:
            return f"no answer in {self._attempt_timeout_s:g} s", False
        except (httpx.HTTPError, OSError) as error:
            return f"{type(error).__name__}: {error}".removesuffix(": "), False
        if httpx.codes.is_success(status):
            return None, False
        retry = httpx.codes.is_server_error(status) or status == httpx.codes.TOO_MANY_REQUESTS
        return f"status {status}", not retry

    async def _status(self, client: httpx.AsyncClient, notice: ReadyNotice, correlation_id: str) -> int:
        """POST once; of the answer the status is all that counts, so its body is left where it is."""
        async with asyncio.timeout(self._attempt_timeout_s):
            uri = await reachable_uri(notice.uri, peer_host=httpx.URL(self._url).raw_host.decode())
            body, headers = _body(notice, uri), {"X-Correlation-Id": correlation_id}
            async with client.stream("POST", self._url, json=body, headers=headers) as response:
                return response.status_code

    @property
    def _receiver(self) -> str:
        """The URL without what may be secret in it: user, path and query."""
        url = httpx.URL(self._url)
        return f"the pool manager at {url.scheme}://{url.netloc.decode()}"

    def _tell(self, attempt: int, problem: str | None, correlation_id: str) -> None:
        self._narrator.narrate(
            "ready_callback",
            f"told {self._receiver}" if problem is None else f"could not tell {self._receiver}: {problem}",
            level=Level.INFO if problem is None else Level.WARN,
            attempt=attempt,
            correlation_id=correlation_id,
        )


def _body(notice: ReadyNotice, uri: str) -> dict[str, object]:
    return {
        "worker_id": notice.worker_id,
        "model_ref": notice.model_ref,
        "vram_bytes": notice.vram_bytes,
        "memory_bytes": notice.vram_bytes,
        "memory_architecture": "vram-only",
        "uri": uri,
        "worker_type": "bespoke-cuda",
        "capabilities": ["text-gen"],
        "protocol": "sse",
    }
