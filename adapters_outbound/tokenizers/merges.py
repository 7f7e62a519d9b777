"""The merges of a byte-pair vocabulary: which two neighbours become one token, most urgent first."""

from collections.abc import Collection, Mapping

from adapters_outbound.tokenizers.metadata_reader import MetadataReader

_KEY = "tokenizer.ggml.merges"
# a vocabulary trained by merging has one merge for each token, one rebuilt from ranks about two
MAX_MERGES_PER_TOKEN = 16


def read_merges(
    reader: MetadataReader, *, tokens: Collection[str], mergeable: Mapping[str, int]
) -> list[tuple[str, str]]:
    """Read and check the merges.

    A merge that takes or makes a token which is not plain text is left out: such tokens are found before
    merging or, where markup is plain text, must not be found at all. Of a merge given twice the first counts.

    Args:
        reader: the file's metadata.
        tokens: every token of the vocabulary.
        mergeable: the tokens that are plain text.

    Raises:
        ModelLoadFailed: a merge is not two tokens with a blank between, or makes something that is no token.
    """
    lines = reader.texts(_KEY)
    most = MAX_MERGES_PER_TOKEN * len(tokens)
    if len(lines) > most:
        reader.refuse(_KEY, f"at most {most} merges", actual=f"{len(lines)}")
    pairs = [line.partition(" ") for line in dict.fromkeys(lines)]
    merges = [
        (left, right)
        for left, _, right in pairs
        if left in mergeable and right in mergeable and left + right in mergeable
    ]
    if len(merges) < len(pairs):
        _check_left_out(reader, pairs, tokens)
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
