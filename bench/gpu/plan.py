"""What is measured, and how often."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """The full measurement of one model; a figure that the model's context is too short for is left out."""

    prefill_lengths: tuple[int, ...] = (16, 512, 4096)
    decode_contexts: tuple[int, ...] = (128, 2048, 8192)  # in the middle of the tokens that are timed
    num_timed_tokens: int = 128
    num_warm_up_tokens: int = 16  # untimed, so that what a backend computes ahead is no gift
    num_repeats: int = 5
    num_loads: int = 3  # after one that may compile kernels
    num_starts: int = 3  # of the process, after one


QUICK = BenchPlan(num_repeats=2, num_loads=1, num_starts=1)
