"""The text of one job: token ids in, fragments of text out."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.stop_matcher import StopMatcher
from domain.utf8_decoder import Utf8Decoder


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of the answer that can be sent, and the generated ids that are settled by it."""

    text: str  # never empty
    token_ids: tuple[int, ...]


class TextStream:
    """Decodes the generated ids of one job, looks for its stops, and keeps account of the ids.

    A character belongs to the id whose bytes complete it. An id is settled by the first fragment with which
    all its text, and all text before it, is emitted; an id without text (control, part of a character) by the
    next fragment. So the fragments name every id at most once and in order, and one may name none: the first
    part of a token whose end is held back. Ids that no fragment settled are in `pending_ids`.
    """

    def __init__(self, decode_bytes: Callable[[int], bytes], stops: Sequence[str]) -> None:
        """Start an empty stream.

        Args:
            decode_bytes: the bytes of one id, as `Tokenizer.decode_bytes`.
            stops: stop sequences, none of them empty.
        """
        self._decode_bytes = decode_bytes
        self._decoder = Utf8Decoder()
        self._matcher = StopMatcher(stops)
        self._num_decoded = 0  # characters
        self._num_emitted = 0
        self._pending: deque[tuple[int, int]] = deque()  # (id, value of _num_decoded after it)

    @property
    def stopped(self) -> str | None:
        """The stop sequence that was found, or None as long as there is none."""
        return self._matcher.matched

    @property
    def pending_ids(self) -> tuple[int, ...]:
        """The ids that no fragment has settled, in order: of the stop, of text held back, without text."""
        return tuple(token_id for token_id, _ in self._pending)

    def push(self, token_id: int) -> Fragment | None:
        """Take the next generated id; return the text that is now certain, if there is any.

        Read `stopped` after it: a fragment may be the text just before a stop. Pushed after a stop, an id is
        part of nothing and is forgotten.
        """
        if self.stopped is not None:
            return None
        text = self._decoder.feed(self._decode_bytes(token_id))
        self._num_decoded += len(text)
        self._pending.append((token_id, self._num_decoded))
        return self._emit(self._matcher.feed(text))

    def finish(self) -> Fragment | None:
        """End the generation: return the text still held back, if any; after a stop there is none."""
        text = self._matcher.feed(self._decoder.finish())
        return self._emit(text + self._matcher.finish())

    def _emit(self, text: str) -> Fragment | None:
        if not text:
            return None
        self._num_emitted += len(text)
        token_ids: list[int] = []
        while self._pending and self._pending[0][1] <= self._num_emitted:
            token_ids.append(self._pending.popleft()[0])
        return Fragment(text, tuple(token_ids))
