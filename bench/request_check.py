"""How long the front layer takes to decode and check a request, tokenization excluded."""

import json
import time
from collections.abc import Sequence

from adapters_inbound.http.json_body import decode_object
from domain.execute_request import validate_execute_request

_NUM_RUNS = 1000
_BODY = json.dumps(
    {
        "job_id": "bench",
        "prompt": "rain " * 6553,  # nearly the longest there may be
        "max_tokens": 64,
        "temperature": 0.8,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "stop": ["\n\n", "END"],
        "seed": 2**64 - 1,
    }
).encode()


def measure() -> Sequence[float]:
    """Seconds of each run."""
    seconds = []
    for _ in range(_NUM_RUNS):
        start_s = time.perf_counter()
        validate_execute_request(decode_object(_BODY), max_tokens_out=2048, vocab_size=151_936)
        seconds.append(time.perf_counter() - start_s)
    return seconds
