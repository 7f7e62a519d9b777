"""Cut text at the tokens that are matched whole, before anything else is tokenized."""

import re
from collections.abc import Collection, Iterator, Mapping

_BLANKS = re.compile(r"[ \t\n\v\f\r]*")  # what C calls space


class SpecialTokenSplitter:
    """Finds tokens that stand for themselves: the leftmost first, of those that begin there the longest.

    That is the rule by which `tokenizers` splits on added tokens. Its own splitter is not used: there,
    whether control tokens are found is a property of the tokenizer, while here each call says it; and an
    added token whose text is not in the vocabulary proper gets a new id. Nothing is normalised, and nothing
    stripped but after the tokens that are named for it.
    """

    def __init__(self, ids: Mapping[str, int], *, strips_after: Collection[int] = ()) -> None:
        """Prepare to find the tokens of `ids`: text, not empty, to id; drop ASCII blanks after some ids."""
        self._ids = dict(ids)
        longest_first = sorted(ids, key=len, reverse=True)
        # an alternation takes the first of its branches that matches
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if ids else None
        self._strips_after = strips_after

    def split(self, text: str) -> Iterator[int | str]:
        """Yield, in order, the id of each token found and the texts between, none of them empty."""
        start = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            if match.start() > start:
                yield text[start : match.start()]
            token_id = self._ids[match.group()]
            yield token_id
            start = match.end()
            if token_id in self._strips_after:
                start = _end_of_blanks(text, start)
        if start < len(text):
            yield text[start:]


def _end_of_blanks(text: str, start: int) -> int:
    match = _BLANKS.match(text, start)
    return match.end() if match else start
