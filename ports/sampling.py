"""How a sequence's next token is chosen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Sampling settings of one sequence. The arithmetic is `domain.sampling`'s.

    A `seed` and the step's number give the step's uniform draw, whatever else runs.
    """

    seed: int  # in [0, 2^64)
    temperature: float = 1.0  # 0 is greedy
    top_p: float = 1.0  # 1 is off
    top_k: int = 0  # 0 is off
    min_p: float = 0.0  # 0 is off
    repetition_penalty: float = 1.0  # 1 is off


GREEDY = SamplingParams(seed=0, temperature=0.0)
