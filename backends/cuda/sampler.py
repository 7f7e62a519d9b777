"""Choosing tokens on the device: what kernels/sample.cu and kernels/log_prob.cu take, and their launches.

Letter: V = vocab_size.
"""

import ctypes
from enum import Enum

from backends.cuda.call import Call
from backends.cuda.compiler import KernelSource
from domain.errors import ModelLoadFailed
from ports.sampling import SamplingParams

LARGEST_VOCAB_SIZE = 2**18  # as in token_weights.cuh
NO_TOKEN = -1  # in the ring: the logits were not finite

_BLOCK_THREADS = 1024
_MAX_BLOCKS = 64  # more make the meetings of the blocks longer than their work
_SMALLEST_PENALTY = 1e-3  # as in domain.sampling
_LARGEST_FLOAT = (2 - 2**-23) * 2.0**127


class Method(Enum):
    """What of sampling a sequence needs; a kernel each."""

    GREEDY = "GREEDY"
    PLAIN = "PLAIN"
    FILTERED = "FILTERED"

    @classmethod
    def of(cls, params: SamplingParams) -> "Method":
        if params.temperature == 0:
            return cls.GREEDY
        is_filtered = params.top_k > 0 or params.top_p < 1 or params.min_p > 0
        return cls.FILTERED if is_filtered else cls.PLAIN


class SequenceState(ctypes.Structure):
    """`struct SequenceState` of sequence_state.cuh. A field lies at `SequenceState.token.offset`."""

    _fields_ = (
        ("seed", ctypes.c_uint64),
        ("top_p", ctypes.c_double),
        ("min_p", ctypes.c_double),
        ("positive_factor", ctypes.c_double),
        ("negative_factor", ctypes.c_double),
        ("inverse_temperature", ctypes.c_float),
        ("top_k", ctypes.c_int32),
        ("token", ctypes.c_int32),
        ("position", ctypes.c_int32),
        ("step", ctypes.c_int32),
        ("num_steps", ctypes.c_int32),
        ("failed", ctypes.c_int32),
    )


class SampleScratch(ctypes.Structure):
    """`struct SampleScratch` of sample.cu. One serves a whole stream; zero before the first launch."""

    _fields_ = (
        ("best_rank", ctypes.c_uint64),
        ("block_sums", ctypes.c_uint64 * 128),
        ("histograms", ctypes.c_uint64 * 1024 * 5 * 2),
        ("num_arrived", ctypes.c_uint32),
    )


class SampleArgs(ctypes.Structure):
    """`struct SampleArgs` of sample.cu.

    d_logits is [V] float32. d_seen is [V] bytes, 1 for ids generated before: zero it when a sequence starts.
    d_ring is [ring_size] int32: step s leaves its token, or NO_TOKEN, at s % ring_size.
    """

    _fields_ = (
        ("d_logits", ctypes.c_uint64),
        ("d_seen", ctypes.c_uint64),
        ("d_state", ctypes.c_uint64),
        ("d_ring", ctypes.c_uint64),
        ("d_scratch", ctypes.c_uint64),
        ("ring_size", ctypes.c_int32),
        ("vocab_size", ctypes.c_int32),
    )


def initial_state(params: SamplingParams, *, token_id: int, position: int, num_steps: int) -> SequenceState:
    """The state of a sequence before its first token is chosen.

    Args:
        params: how its tokens are chosen.
        token_id: the prompt's last.
        position: of that token; each step that chooses a token adds 1.
        num_steps: how many tokens may be chosen; steps after that change nothing.
    """
    penalty = max(params.repetition_penalty, _SMALLEST_PENALTY)
    temperature = params.temperature
    return SequenceState(
        seed=params.seed,
        top_p=params.top_p,
        min_p=params.min_p,
        positive_factor=1 / penalty,
        negative_factor=penalty,
        inverse_temperature=min(1 / temperature, _LARGEST_FLOAT) if temperature > 0 else 0.0,
        top_k=params.top_k,
        token=token_id,
        position=position,
        num_steps=num_steps,
    )


def sample_call(method: Method, args: SampleArgs, *, num_multiprocessors: int) -> Call:
    """Choose a sequence's next token, and move its state on.

    Raises:
        ModelLoadFailed: the vocabulary is larger than the kernel can rank.
    """
    _check_vocab_size(args.vocab_size)
    return Call(
        KernelSource("sample.cu", f"sample<{method.value}>"),
        grid=(min(_MAX_BLOCKS, num_multiprocessors), 1),
        num_threads=_BLOCK_THREADS,
        args=(args,),
        is_cooperative=method is not Method.GREEDY,
    )


def log_prob_call(*, d_logits: int, d_token_ids: int, d_out: int, num_rows: int, vocab_size: int) -> Call:
    """Natural logarithm of the probability of one token a row.

    Args:
        d_logits: [num_rows, V] float32.
        d_token_ids: [num_rows] int32.
        d_out: [num_rows] float32; NaN where a row's logits are not finite.
        num_rows: at least 1.
        vocab_size: V.

    Raises:
        ModelLoadFailed: as `sample_call`.
    """
    _check_vocab_size(vocab_size)
    pointers = (ctypes.c_uint64(d_ptr) for d_ptr in (d_logits, d_token_ids, d_out))
    return Call(
        KernelSource("log_prob.cu", "log_prob"),
        grid=(num_rows, 1),
        num_threads=_BLOCK_THREADS,
        args=(*pointers, ctypes.c_int32(vocab_size)),
    )


def _check_vocab_size(vocab_size: int) -> None:
    if vocab_size > LARGEST_VOCAB_SIZE:
        raise ModelLoadFailed(
            f"the vocabulary has {vocab_size} tokens; the device chooses among at most {LARGEST_VOCAB_SIZE}"
        )
