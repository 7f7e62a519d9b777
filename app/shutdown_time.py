"""The time between being asked to leave and being gone: one for all that has to be done in it."""

from ports.clock import Clock

_INTERPRETER_S = 0.15  # what the interpreter's own end takes, after the last of our lines
_MAX_INTERPRETER_SHARE = 0.2


class ShutdownTime:
    """Runs from the first `start`, or the first question, for all stages of the end together.

    Args:
        timeout_s: from there to the exit of the process.
        clock: that it is measured with.
    """

    def __init__(self, timeout_s: float, clock: Clock) -> None:
        self._usable_s = timeout_s - min(_INTERPRETER_S, _MAX_INTERPRETER_SHARE * timeout_s)
        self._clock = clock
        self._started_at_s: float | None = None

    def start(self) -> None:
        """The end has been asked for. Idempotent."""
        if self._started_at_s is None:
            self._started_at_s = self._clock.monotonic_s()

    def left_s(self, share: float = 1.0) -> float:
        """Seconds until the first `share` of the time is over; 0 once it is."""
        self.start()
        assert self._started_at_s is not None
        return max(0.0, self._started_at_s + share * self._usable_s - self._clock.monotonic_s())
