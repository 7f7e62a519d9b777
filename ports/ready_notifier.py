"""The port to whoever started this worker."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ReadyNotice:
    """What the pool manager is told once the worker serves.

    `uri` is where it listens; for a wildcard address the notifier says the one that faces the pool manager.
    """

    worker_id: str
    model_ref: str
    vram_bytes: int
    uri: str


class ReadyNotifier(Protocol):
    """Tells the pool manager that the worker is ready."""

    async def notify(self, notice: ReadyNotice) -> None:
        """Deliver the notice, with retries.

        Raises:
            CallbackFailed: the receiver refused it or could not be reached.
        """
        ...
