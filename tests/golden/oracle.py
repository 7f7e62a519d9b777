"""What `transformers` computed, and the stand-in's logits to compare with it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backends.fake.forward import forward, logits
from backends.fake.kv_cache import KvCache
from backends.fake.weight_loader import load_weights
from backends.fake.weights import Weights
from ports.model_description import ModelDescription
from ports.model_file import ModelFile

DIRECTORY = Path(__file__).parent
WHOLE = 1000  # more positions than any toy has


def loaded(description: ModelDescription, file: ModelFile) -> Weights:
    return load_weights(description, file, chunk_bytes=1000, on_progress=lambda _done, _total: None)


def oracle(description: ModelDescription) -> tuple[list[int], NDArray[np.float32]]:
    with np.load(DIRECTORY / f"{description.architecture}.npz") as arrays:
        return arrays["token_ids"].tolist(), arrays["logits"]


def computed(weights: Weights, token_ids: list[int], chunk_tokens: int) -> NDArray[np.float32]:
    cache = KvCache(weights.description.layers)
    starts = range(0, len(token_ids), chunk_tokens)
    pieces = [logits(weights, forward(weights, token_ids[i : i + chunk_tokens], cache)) for i in starts]
    return np.concatenate(pieces)


def nmse(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    difference = actual.astype(np.float64) - expected
    return float((difference**2).sum() / (expected.astype(np.float64) ** 2).sum())
