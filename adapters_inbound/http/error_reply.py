"""What a caller is told when there is no stream to tell it in: one envelope for every error."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.response.base import ASGIResponse

from domain.errors import (
    CapacityError,
    DuplicateJob,
    FieldError,
    InferenceTimeout,
    InvalidRequest,
    JobCancelled,
    RequestError,
    WorkerError,
)
from domain.redaction import redact

# Spec §21.1. The nearest ancestor of an error's class decides.
_STATUS: Mapping[type[WorkerError], int] = {
    DuplicateJob: 409,
    RequestError: 400,
    CapacityError: 503,
    JobCancelled: 499,
    InferenceTimeout: 504,
    WorkerError: 500,
}
_CLOSE = {"connection": "close"}


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """One complete error response."""

    status: int
    code: str
    message: str
    retriable: bool
    correlation_id: str
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        error = {
            "code": self.code,
            "message": redact(self.message),
            "retriable": self.retriable,
            "details": {"errors": [_field_error(each) for each in self.errors]},
            "correlation_id": self.correlation_id,
        }
        return msgspec.json.encode({"error": error})

    def litestar(self) -> Response[bytes]:
        """The reply as a route or an exception handler returns it."""
        return Response(
            self.body, status_code=self.status, headers=dict(self.headers), media_type="application/json"
        )

    def asgi(self) -> ASGIResponse:
        """The reply as an ASGI application, for layers outside of Litestar."""
        return ASGIResponse(
            body=self.body, status_code=self.status, headers=dict(self.headers), media_type="application/json"
        )

    def http11(self) -> bytes:
        """The reply as bytes on the wire, for a request that never became one; the connection must close."""
        body = self.body
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "x-correlation-id": self.correlation_id,
            **self.headers,
            **_CLOSE,
        }
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def protocol_error(status: int, message: str, correlation_id: str, **headers: str) -> ErrorReply:
    """A request that breaks the rules of HTTP or of this worker's use of it. The caller can fix it."""
    return ErrorReply(
        status, RequestError.code, message, RequestError.retriable, correlation_id, headers=headers
    )


def internal_error(correlation_id: str) -> ErrorReply:
    """A defect: says that, and nothing of what is inside."""
    return ErrorReply(
        500, WorkerError.code, "internal error", WorkerError.retriable, correlation_id, headers=_CLOSE
    )


def reply_to(error: Exception, correlation_id: str) -> ErrorReply:
    """The reply that an exception stands for."""
    if isinstance(error, WorkerError):
        return _worker_error(error, correlation_id)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return protocol_error(error.status_code, error.detail, correlation_id, **(error.headers or {}))
    return internal_error(correlation_id)


def _worker_error(error: WorkerError, correlation_id: str) -> ErrorReply:
    status = next(_STATUS[each] for each in type(error).__mro__ if each in _STATUS)
    return ErrorReply(
        status,
        error.code,
        error.message,
        error.retriable,
        correlation_id,
        errors=error.errors if isinstance(error, InvalidRequest) else (),
        headers={"retry-after": "1"} if status == 503 else {},
    )


def _field_error(error: FieldError) -> dict[str, str]:
    shown = {"field": error.field, "constraint": error.constraint, "message": redact(error.message)}
    if error.value is not None:
        shown["value"] = redact(error.value)
    return shown
