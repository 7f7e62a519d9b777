"""Cut text at the tokens that are matched whole, before anything else is tokenized."""

import re
from collections.abc import Iterator, Mapping


class SpecialTokenSplitter:
    """Finds tokens that stand for themselves: the leftmost first, of those that begin there the longest.

    That is the rule by which `tokenizers` splits on added tokens. Its own splitter is not used: there,
    whether control tokens are found is a property of the tokenizer, while here each call says it; and an
    added token whose text is not in the vocabulary proper gets a new id. Nothing is stripped or normalised.
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        """Prepare to find the tokens of `ids`: text, not empty, to id."""
        self._ids = dict(ids)
        longest_first = sorted(ids, key=len, reverse=True)
        # an alternation takes the first of its branches that matches
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if ids else None

    def split(self, text: str) -> Iterator[int | str]:
        """Yield, in order, the id of each token found and the texts between, none of them empty."""
        start = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            if match.start() > start:
                yield text[start : match.start()]
            yield self._ids[match.group()]
            start = match.end()
        if start < len(text):
            yield text[start:]
