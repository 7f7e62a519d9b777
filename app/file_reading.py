"""The model file opened and its tokenizer built, in a thread beside the one that owns the device."""

from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from domain.errors import WorkerError

if TYPE_CHECKING:
    from app.tokenizer_choice import TokenizerChoice
    from ports.model_file import ModelFile, ModelFileOpener
    from ports.tokenizer import Tokenizer


class FileReading:
    """Begins at once. Each part is waited for, and raises what went wrong with it, when it is asked for.

    Args:
        make_opener: of model files. Called in the thread, since it imports libraries.
        path: of this one.
        tokenizer_option: see `choose_tokenizer`.
    """

    def __init__(
        self, make_opener: Callable[[], "ModelFileOpener"], path: str, *, tokenizer_option: str | None
    ) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model-file")
        self._file = self._thread.submit(lambda: make_opener().open(path))
        self._choice = self._thread.submit(lambda: _choose(self._file.result(), tokenizer_option))
        self._tokenizer = self._thread.submit(lambda: self._choice.result().build(self._file.result()))

    def file(self) -> "ModelFile":
        """The open file.

        Raises:
            ModelLoadFailed: it is missing, unreadable or malformed.
        """
        return self._file.result()

    def choice(self) -> "TokenizerChoice":
        """Which tokenizer the model gets; raises as `file`."""
        return self._choice.result()

    def tokenizer(self) -> "Tokenizer":
        """That tokenizer.

        Raises:
            ModelLoadFailed: what was chosen is missing, broken or not supported.
        """
        return self._tokenizer.result()

    def check(self) -> None:
        """Raise what has gone wrong so far, if anything; wait for nothing."""
        if self._tokenizer.done():
            self._tokenizer.result()

    def close(self) -> None:
        """Close the file, after what is being done with it."""
        self._thread.shutdown(cancel_futures=True)
        with suppress(WorkerError, CancelledError):
            self._file.result().close()


def _choose(file: "ModelFile", option: str | None) -> "TokenizerChoice":
    from app.tokenizer_choice import choose_tokenizer  # noqa: PLC0415 it imports libraries, as above

    return choose_tokenizer(file, option)
