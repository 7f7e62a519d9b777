"""Merging neighbours into tokens by score, as SentencePiece's BPE does.

Not on the `tokenizers` library: its BPE orders merges by the pair, this one by the score of what they make.
Real vocabularies give one score to many tokens (all runs of blanks of Phi-3), where the leftmost goes first
whatever the pair; no order of pairs says that.
Source: sentencepiece `bpe_model.cc`, `Model::SampleEncode`; llama.cpp `llm_tokenizer_spm_session`.
"""

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from itertools import pairwise

_Candidate = tuple[float, int, int, int]  # minus score, left, right, length: the smallest is merged first


class ScoreMerger:
    """Cuts text into tokens. Immutable; any thread may call it."""

    def __init__(self, scores: Mapping[str, float], *, unused: frozenset[str] = frozenset()) -> None:
        """Prepare to merge into the tokens of `scores`.

        Args:
            scores: of every token that merging may make; higher is merged earlier.
            unused: those of them that are only steps on the way: one that is left at the end is taken apart.
        """
        self._scores = scores
        self._unused = unused
        self._pairs = {left + right for token in scores for left, right in pairwise(token)}

    def words(self, text: str) -> Iterator[str]:
        """Cut `text` where no merge can reach across: between two characters that stand so in no token."""
        start = 0
        for position in range(1, len(text)):
            if text[position - 1 : position + 1] not in self._pairs:
                yield text[start:position]
                start = position
        if text:
            yield text[start:]

    def merge(self, word: str) -> list[str]:
        """Merge the characters of `word`: the highest score first, of equals the leftmost."""
        chain = _Chain(word)
        halves: dict[str, tuple[str, str]] = {}
        candidates: list[_Candidate] = []

        def consider(left: int, right: int) -> None:
            token = chain.text(left) + chain.text(right)
            score = self._scores.get(token)
            if score is not None:
                heappush(candidates, (-score, left, right, len(token)))
                if token in self._unused:
                    halves[token] = chain.text(left), chain.text(right)

        for position in range(1, len(word)):
            consider(position - 1, position)
        while candidates:
            _, left, right, length = heappop(candidates)
            if chain.join(left, right, length):
                if chain.previous[left] >= 0:
                    consider(chain.previous[left], left)
                if chain.following[left] < len(word):
                    consider(left, chain.following[left])
        return [part for token in chain for part in _taken_apart(token, halves)]


class _Chain:
    """The pieces of a word in order, each known by the position of its first character."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._lengths = [1] * len(word)  # 0 for a character that is part of the piece before
        self.previous = list(range(-1, len(word) - 1))
        self.following = list(range(1, len(word) + 1))

    def text(self, start: int) -> str:
        return self._word[start : start + self._lengths[start]]

    def join(self, left: int, right: int, length: int) -> bool:
        """Join two neighbours, unless one of them has changed since their joint `length` was noted."""
        lengths = self._lengths
        if not lengths[left] or not lengths[right] or lengths[left] + lengths[right] != length:
            return False
        lengths[left], lengths[right] = length, 0
        self.following[left] = self.following[right]
        if self.following[left] < len(self._word):
            self.previous[self.following[left]] = left
        return True

    def __iter__(self) -> Iterator[str]:
        position = 0
        while position < len(self._word):
            yield self.text(position)
            position = self.following[position]


def _taken_apart(token: str, halves: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    if token not in halves:
        yield token
    else:
        for half in halves[token]:
            yield from _taken_apart(half, halves)
