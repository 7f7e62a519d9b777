"""A progress bar for a person who waits for a model to load."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Update = Callable[[int, int], None]


@contextmanager
def load_progress_bar(label: str) -> Iterator[Update]:
    """Show bytes loaded on standard error, if that is a terminal; otherwise nothing at all.

    Yields:
        Takes the bytes done and the bytes in all. Any thread.
    """
    if not sys.stderr.isatty():
        yield lambda _done_bytes, _total_bytes: None
        return
    from rich.console import Console  # noqa: PLC0415 a worker that nobody watches need not wait for it
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(True), TransferSpeedColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=None)

        def update(done_bytes: int, total_bytes: int) -> None:
            progress.update(task, completed=done_bytes, total=total_bytes)

        yield update
