"""Cases at the edges of sampling, each with many draws; and logits that allow no choice."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ports.sampling import SamplingParams
from tests.backends.cuda.sampling_cases import Case

_NUM_DRAWS = 40
_INF, _NAN = float("inf"), float("nan")
_RAMP = [i / 7 for i in range(300)]
_TIES = [float(i % 5) for i in range(300)]
_EQUAL = [1.5] * 300
_LIGHT = [-9.36 - i % 100 / 1000 for i in range(20_000)]
_HOLES = [-_INF if i % 3 else i / 50 for i in range(300)]


@dataclass(frozen=True, slots=True)
class Edge:
    """Logits and settings; `cases` draws from them again and again."""

    name: str
    logits: list[float]
    params: SamplingParams
    history: tuple[int, ...] = ()

    def cases(self) -> Iterator[Case]:
        logits = np.array(self.logits, np.float32)
        for step in range(_NUM_DRAWS):
            yield Case(logits, list(self.history), self.params, step)


EDGES = [
    Edge("one token", [-3.0], SamplingParams(seed=1, top_k=5, top_p=0.3, min_p=0.3)),
    Edge("two zeros", [-1.0, -0.0, 0.0], SamplingParams(seed=1, temperature=0)),
    Edge("best twice", _TIES, SamplingParams(seed=1, temperature=0)),
    Edge("k=1", _RAMP, SamplingParams(seed=1, temperature=2, top_k=1)),
    Edge("k=1 of ties", _TIES, SamplingParams(seed=1, temperature=2, top_k=1)),
    Edge("k among ties", _TIES, SamplingParams(seed=1, temperature=2, top_k=77)),
    Edge("k is all but one", _TIES, SamplingParams(seed=1, temperature=2, top_k=299)),
    Edge("k is all", _TIES, SamplingParams(seed=1, temperature=2, top_k=300)),
    Edge("k reaches the holes", _HOLES, SamplingParams(seed=1, temperature=2, top_k=200)),
    Edge("p=0", _RAMP, SamplingParams(seed=1, temperature=2, top_p=0.0)),
    Edge("p=0 of ties", _TIES, SamplingParams(seed=1, temperature=2, top_p=0.0)),
    Edge("p among ties", _TIES, SamplingParams(seed=1, temperature=2, top_p=0.7)),
    Edge("p of equals", _EQUAL, SamplingParams(seed=1, top_p=0.5)),
    Edge("p is almost 1", _TIES, SamplingParams(seed=1, top_p=1 - 2**-53)),
    Edge("scores closer than weights", [0.0, 1e-35], SamplingParams(seed=1, top_p=0.0)),
    Edge("m=1", _RAMP, SamplingParams(seed=1, temperature=2, min_p=1.0)),
    Edge("m=1 of ties", _TIES, SamplingParams(seed=1, temperature=2, min_p=1.0)),
    Edge("m=1 of equals", _EQUAL, SamplingParams(seed=1, min_p=1.0)),
    Edge("the smallest m", _RAMP, SamplingParams(seed=1, temperature=2, min_p=5e-324)),
    # few enough that a cut one token off shows in a third of the draws
    Edge("k=2 of three equals", [1.0] * 3, SamplingParams(seed=1, top_k=2)),
    Edge("k=2 of three", [1.0, 1.001, 1.002], SamplingParams(seed=1, top_k=2)),
    Edge("p of two equals", [1.0] * 2, SamplingParams(seed=1, top_p=0.5)),
    Edge("p of three", [1.0, 1.0001, 1.0002], SamplingParams(seed=1, top_p=0.6)),
    # each of less than 2^32 units, together more than the best one
    Edge("many light tokens", [0.0, *_LIGHT], SamplingParams(seed=1, top_p=0.8)),
    Edge("all filters", _TIES, SamplingParams(seed=1, temperature=2, top_k=100, top_p=0.8, min_p=0.5)),
    Edge("all equal", _EQUAL, SamplingParams(seed=1)),
    Edge("holes", _HOLES, SamplingParams(seed=1, temperature=2)),
    Edge("only one is left", [-_INF] * 99 + [-7.0] + [-_INF] * 99, SamplingParams(seed=1)),
    Edge("smallest temperature", [-3e38, 3e38, 0.0], SamplingParams(seed=1, temperature=5e-324)),
    Edge("small temperature", _RAMP, SamplingParams(seed=1, temperature=1e-9, top_p=0.9)),
    Edge("largest logits", [-3e38, 3e38, 3e38], SamplingParams(seed=1, temperature=2)),
    Edge("penalty 0", [5.0, 1.0, 0.0, -1.0], SamplingParams(seed=1, repetition_penalty=0), (1, 2, 3)),
    Edge("penalty of a hole", [5.0, -_INF, 4.0], SamplingParams(seed=1, repetition_penalty=2), (0, 1)),
    Edge("penalty overflows", [-3e38, -2.0], SamplingParams(seed=1, repetition_penalty=2), (0, 1)),
    Edge(
        "greedy penalty", [3.0, 2.0, 1.0], SamplingParams(seed=1, temperature=0, repetition_penalty=2), (0,)
    ),
]

BAD_LOGITS = [
    [1.0, _INF, 0.0],
    [1.0, _NAN, 0.0],
    [1.0, -_NAN, 0.0],
    [-_INF, _NAN, -_INF],
    [-_INF, -_INF, -_INF],
    [_INF],
]
