"""Where two answers part."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest


@dataclass(frozen=True, slots=True)
class TokenDifference:
    """The first position at which two answers hold different tokens."""

    index: int  # counted from 0
    expected: int | None  # None: the expected answer had ended
    actual: int | None  # likewise


def first_difference(expected: Sequence[int], actual: Sequence[int]) -> TokenDifference | None:
    """Compare token ids one by one; None where both answers are the same."""
    for index, (left, right) in enumerate(zip_longest(expected, actual)):
        if left != right:
            return TokenDifference(index, left, right)
    return None
