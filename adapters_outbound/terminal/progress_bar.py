"""A progress bar for a person who waits for a model to load."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn


class LoadProgressBar:
    """Shows bytes loaded on standard error, if that is a terminal; otherwise nothing at all."""

    def __init__(self, label: str) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            console=console,
            disable=not sys.stderr.isatty(),
        )
        self._task: TaskID = self._progress.add_task(label, total=None)

    def __enter__(self) -> "LoadProgressBar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, done_bytes: int, total_bytes: int) -> None:
        """Show that `done_bytes` of `total_bytes` are loaded. Any thread."""
        self._progress.update(self._task, completed=done_bytes, total=total_bytes)
