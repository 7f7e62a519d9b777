"""What the answers are worth: the shares every table of this model reports."""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.haiku.corpus import Request
from tools.haiku.lexicon import PUNCTUATION, is_haiku


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over a set of answers; `num_words` and `num_nonces` count the answers that were asked."""

    num_answers: int
    num_haiku: int
    num_words: int
    num_words_kept: int
    num_nonces: int
    num_nonces_kept: int
    num_distinct: int

    def row(self, name: str) -> str:
        """A line of a markdown table."""
        cells = (
            name,
            share(self.num_haiku, self.num_answers),
            share(self.num_words_kept, self.num_words),
            share(self.num_nonces_kept, self.num_nonces),
            f"{self.num_distinct} of {self.num_answers}",
        )
        return "| " + " | ".join(cells) + " |"


HEADER = "| run | exactly 5-7-5 | required words | nonce | distinct |\n| --- | --- | --- | --- | --- |"


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} % ({part}/{whole})" if whole else "none asked"


def score(requests: Sequence[Request], answers: Sequence[str]) -> Score:
    """Judge one answer a request, in order."""
    pairs = list(zip(requests, answers, strict=True))
    with_words = [(r, a) for r, a in pairs if r.words]
    with_nonce = [(r, a) for r, a in pairs if r.nonce]
    return Score(
        num_answers=len(pairs),
        num_haiku=sum(is_haiku(a, r.wanted) for r, a in pairs),
        num_words=len(with_words),
        num_words_kept=sum(has_words(r, a) for r, a in with_words),
        num_nonces=len(with_nonce),
        num_nonces_kept=sum(r.nonce in answer_words(a) for r, a in with_nonce),
        num_distinct=len({a for _, a in pairs}),
    )


def has_words(request: Request, answer: str) -> bool:
    """Every required word stands there as a word of its own, in whatever case."""
    present = {word.lower() for word in answer_words(answer)}
    return all(word.lower() in present for word in request.words)


def answer_words(answer: str) -> list[str]:
    return [word.strip(PUNCTUATION) for word in answer.split()]
