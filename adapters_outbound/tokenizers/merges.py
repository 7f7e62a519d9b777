"""The merges of a byte-pair vocabulary: which two neighbours become one token, most urgent first."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from tokenizers.models import BPE

from adapters_outbound.tokenizers.metadata_reader import MetadataReader

_KEY = "tokenizer.ggml.merges"
# a vocabulary trained by merging has one merge for each token, one rebuilt from ranks about two
MAX_MERGES_PER_TOKEN = 16


def build_bpe(
    reader: MetadataReader, *, tokens: Collection[str], mergeable: dict[str, int], ignore_merges: bool
) -> BPE:
    """The library's model of the merges, which are read and checked.

    A merge that takes or makes a token which is not plain text is left out: such tokens are found before
    merging or, where markup is plain text, must not be found at all. Of a merge given twice the first counts.

    Args:
        reader: the file's metadata.
        tokens: every token of the vocabulary.
        mergeable: the tokens that are plain text.
        ignore_merges: whether a word that is a token becomes that token, whatever the merges.

    Raises:
        ModelLoadFailed: a merge is not two tokens with a blank between, or makes something that is no token.
    """
    lines = reader.texts(_KEY)
    most = MAX_MERGES_PER_TOKEN * len(tokens)
    if len(lines) > most:
        reader.refuse(_KEY, f"at most {most} merges", actual=f"{len(lines)}")
    # A merge that makes something longer than any token crashes the library. The rest it checks itself, as is
    # done below but faster, and raises nothing narrower than `Exception`.
    if len(set(lines)) == len(lines) and _most_bytes(lines) <= len(" ") + _most_bytes(mergeable):
        with suppress(Exception):
            return BPE(mergeable, _Split(lines), ignore_merges=ignore_merges)  # type: ignore[arg-type]
    return BPE(mergeable, _some_of(lines, reader, tokens, mergeable), ignore_merges=ignore_merges)


class _Split(Sequence[tuple[str, ...]]):
    """Each line in its parts, made while the library takes them: a list of all would be 20 MB to bring."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return (tuple(line.split(" ")) for line in self._lines)

    def __getitem__(self, index: Any) -> Any:  # the library asks whether there is one, and iterates
        return tuple(self._lines[index].split(" "))


def _most_bytes(texts: Iterable[str]) -> int:
    return max(map(len, map(str.encode, texts)), default=0)


def _some_of(
    lines: list[str], reader: MetadataReader, tokens: Collection[str], mergeable: Collection[str]
) -> list[tuple[str, str]]:
    """Those that count, by the rules of `build_bpe`."""
    pairs = [line.partition(" ") for line in dict.fromkeys(lines)]
    merges = [
        (left, right)
        for left, _, right in pairs
        if left in mergeable and right in mergeable and left + right in mergeable
    ]
    if len(merges) < len(pairs):
        _check_left_out(reader, pairs, set(tokens))
    return merges


def _check_left_out(
    reader: MetadataReader, pairs: list[tuple[str, str, str]], tokens: Collection[str]
) -> None:
    for left, blank, right in pairs:
        if not blank or " " in right:
            line = left + blank + right
            reader.refuse(_KEY, "two tokens with a blank between", actual=f"{line!r:.80}")
        _check_known(reader, (left, right, left + right), tokens)


def _check_known(reader: MetadataReader, parts: tuple[str, ...], tokens: Collection[str]) -> None:
    for part in parts:
        if part not in tokens:
            found = f"{parts[0]!r:.40} and {parts[1]!r:.40}, but {part!r:.80} is no token"
            reader.refuse(_KEY, "merges of two tokens into one", actual=found)
