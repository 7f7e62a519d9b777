"""The stand-in alone: load, prefill and decode, without HTTP."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from adapters_outbound.gguf.opener import GgufModelFileOpener
from adapters_outbound.tokenizers.factory import build_tokenizer
from backends.fake.backend import FakeBackend
from bench.prompts import MAX_TOKENS, request
from domain.architectures import describe
from domain.memory_plan import plan_memory
from ports.loaded_model import LoadedModel
from ports.sampling import SamplingParams
from ports.tokenizer import Tokenizer


@dataclass(frozen=True)
class BackendSpeed:
    """Times of the backend alone, in seconds."""

    load_s: float
    weights_bytes: int
    float32_bytes: int  # read for every token: the stand-in multiplies with float32
    decode_s_per_token: float
    decoded_tokens: int


def measure(path: str, *, num_requests: int) -> BackendSpeed:
    """Load the model at `path` and run the requests one after another."""
    start_s = time.perf_counter()
    file = GgufModelFileOpener().open(path)
    description = describe(file)
    tokenizer = build_tokenizer(file.metadata, path=path)
    device = FakeBackend(2**32).open_device(0)
    plan = plan_memory(description, free_bytes=2**32, gpu_device=0, path=path)
    model = device.load_model(description, file, plan, chunk_bytes=2**20, on_progress=lambda *_: None)
    file.close()
    load_s = time.perf_counter() - start_s
    seconds, tokens = _decode(model, tokenizer, range(num_requests))
    matrices = [tensor for tensor in description.tensors if len(tensor.shape) == 2]
    return BackendSpeed(
        load_s=load_s,
        weights_bytes=model.memory().weights_bytes,
        float32_bytes=4 * sum(tensor.shape[0] * tensor.shape[1] for tensor in matrices),
        decode_s_per_token=seconds / tokens,
        decoded_tokens=tokens,
    )


def _decode(model: LoadedModel, tokenizer: Tokenizer, numbers: Sequence[int]) -> tuple[float, int]:
    """(seconds, tokens) from each first token to the last."""
    seconds, tokens = 0.0, 0
    for number in numbers:
        asked = request(number)
        ids = tokenizer.encode(str(asked["prompt"]), add_bos=tokenizer.adds_bos, parse_special=True)
        sampling = SamplingParams(seed=number, temperature=0.8)
        sequence_id = model.open_sequence(ids, sampling, max_tokens=MAX_TOKENS)
        first_s = last_s = None
        for _ in range(MAX_TOKENS):
            (output,) = model.step()
            if output.token_id in tokenizer.eog_token_ids:
                break
            last_s = time.perf_counter()
            if first_s is None:
                first_s = last_s
            else:
                tokens += 1
        model.close_sequence(sequence_id)
        seconds += (last_s or 0.0) - (first_s or 0.0)
    return seconds, tokens
