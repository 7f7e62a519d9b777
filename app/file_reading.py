"""The model file opened and its tokenizer built, beside the thread that owns the device."""

from collections.abc import Callable
from concurrent.futures import CancelledError, Executor
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.tokenizer_choice import TokenizerChoice
    from ports.model_file import ModelFile, ModelFileOpener
    from ports.tokenizer import Tokenizer


class FileReading:
    """Begins at once. Each part is waited for, and raises what went wrong with it, when it is asked for.

    Args:
        executor: where, step by step.
        make_opener: of model files. Called there, since it imports libraries.
        path: of this one.
        tokenizer_option: see `choose_tokenizer`.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        make_opener: Callable[[], "ModelFileOpener"],
        path: str,
        tokenizer_option: str | None,
    ) -> None:
        self._file = executor.submit(lambda: make_opener().open(path))
        self._choice = executor.submit(lambda: _choose(self._file.result(), tokenizer_option))
        self._tokenizer = executor.submit(lambda: self._choice.result().build(self._file.result()))

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
        """Close the file, after what is being done with it. Idempotent."""
        for step in (self._tokenizer, self._choice, self._file):
            step.cancel()
            with suppress(CancelledError):
                step.exception()  # waits, where it has begun
        if not self._file.cancelled() and self._file.exception() is None:
            self._file.result().close()


def _choose(file: "ModelFile", option: str | None) -> "TokenizerChoice":
    from app.tokenizer_choice import choose_tokenizer  # noqa: PLC0415 it imports libraries, as above

    return choose_tokenizer(file, option)
