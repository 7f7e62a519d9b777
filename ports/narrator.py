"""The port to the narration: the log that tells the story, one event a line."""

from enum import IntEnum
from typing import Protocol


class Level(IntEnum):
    """Severity of an event, ordered."""

    TRACE = 5
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50


class Narrator(Protocol):
    """Writes narration events. Any thread may call; it never raises."""

    def narrate(self, event: str, human: str, *, level: Level = Level.INFO, **fields: object) -> None:
        """Write one event.

        Args:
            event: stable name, such as `execute_start`.
            human: one sentence of at most 100 characters for people; never a prompt or an answer.
            level: severity.
            fields: facts, JSON values; `None` values are left out.
        """
        ...
