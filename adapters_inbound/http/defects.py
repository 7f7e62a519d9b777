"""Narrate a failure that nothing in the worker expected."""

import traceback

from domain.errors import WorkerError
from ports.narrator import Level, Narrator


def narrate_defect(
    narrator: Narrator, error: BaseException, correlation_id: str, *, trace_id: str | None
) -> None:
    """Tell of `error` by type and place. Its message is left out: it may hold what the caller sent."""
    cause = error.__cause__ or error
    frames = traceback.extract_tb(cause.__traceback__)
    narrator.narrate(
        "error",
        f"failed to answer a request: {type(cause).__name__}",
        level=Level.ERROR,
        error_kind=WorkerError.code,
        exception=type(cause).__name__,
        location=f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None,
        correlation_id=correlation_id,
        trace_id=trace_id,
    )
