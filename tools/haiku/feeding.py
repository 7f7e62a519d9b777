"""Turn the endless corpus into batches, in processes of their own beside the training."""

import multiprocessing
import random
from collections.abc import Iterator
from itertools import islice
from multiprocessing.queues import Queue

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from tools.haiku.corpus import Mix, Request, random_pairs
from tools.haiku.tokenizer import BOS_ID, EOS_ID, load_tokenizer

Batch = tuple[NDArray[np.int16], NDArray[np.uint8]]
"""ids [B, L] padded with EOS, and how much each one's loss counts [B, L]: 0 outside the answer."""

WANTED_WEIGHT, WAY_WEIGHT = 4, 2
"""A demanded word, and what leads to it in its line, count more: where it goes is the thing to learn."""

WARM_UP_PAIRS = 4000
"""Pairs made before the processes split, so that they share the grammar's sums."""


def prompt_ids(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """As the worker encodes it: BOS, then the raw text."""
    return [BOS_ID, *tokenizer.encode(prompt, add_special_tokens=False).ids]


def batches(seed: int, mix: Mix, *, batch_size: int, length: int, long_share: float) -> Iterator[Batch]:
    """Endless batches. Some rows, `long_share` of them, get earlier text before the request."""
    tokenizer, rng = load_tokenizer(), random.Random(seed)
    pairs = random_pairs(seed, mix)
    while True:
        ids = np.full((batch_size, length), EOS_ID, dtype=np.int16)
        weights = np.zeros((batch_size, length), dtype=np.uint8)
        row = 0
        while row < batch_size:
            request, poem = next(pairs)
            preface = filler(pairs, rng) if rng.random() < long_share else ""
            head = prompt_ids(tokenizer, preface + request.prompt)
            answer = tokenizer.encode(poem, add_special_tokens=False)
            tokens = [*head, *answer.ids, EOS_ID]
            if len(tokens) <= length:
                ids[row, : len(tokens)] = tokens
                weights[row, len(head) : len(tokens)] = [*token_weights(answer, poem, request), 1]
                row += 1
        yield ids, weights


def token_weights(answer: Encoding, poem: str, request: Request) -> list[int]:
    """[tokens of the poem] more where a wanted word first stands, and on the way to it in its line."""
    found = ((poem.find(form), form) for word in request.wanted for form in {word, word.lower()})
    spans = [(start, start + len(form)) for start, form in found if start >= 0]
    ways = [(poem.rfind("\n", 0, start) + 1, start) for start, _ in spans]
    return [
        WANTED_WEIGHT if meets(token, spans) else WAY_WEIGHT if meets(token, ways) else 1
        for token in answer.offsets
    ]


def meets(token: tuple[int, int], spans: list[tuple[int, int]]) -> bool:
    return any(token[0] < end and token[1] > start for start, end in spans)


def filler(pairs: Iterator[tuple[Request, str]], rng: random.Random) -> str:
    """Other text that may stand before a request: finished poems, so that long prompts work too."""
    poems = [poem for _, poem in islice(pairs, rng.randint(1, 12))]
    return "\n\n".join(poems) + rng.choice(("\n\n", "\n", ". ", "\n\n---\n\n"))


def work(queue: "Queue[Batch]", endless: Iterator[Batch]) -> None:
    for batch in endless:
        queue.put(batch)


class Feeder:
    """Processes that fill one queue; a late batch is replaced by one seen before.

    Not thread-safe: the training loop owns it and calls close.
    """

    def __init__(
        self, mix: Mix, *, num_workers: int, seed: int, batch_size: int, length: int, long_share: float
    ) -> None:
        list(islice(random_pairs(seed, mix), WARM_UP_PAIRS if num_workers > 2 else 10))
        context = multiprocessing.get_context("fork")
        self._queue: Queue[Batch] = context.Queue(maxsize=64)
        self._seen: list[Batch] = []
        self._rng = random.Random(seed)
        self.num_fresh = self.num_repeated = 0
        sources = [
            batches(seed + 1 + i, mix, batch_size=batch_size, length=length, long_share=long_share)
            for i in range(num_workers)
        ]
        self._workers = [
            context.Process(target=work, args=(self._queue, source), daemon=True) for source in sources
        ]
        for worker in self._workers:
            worker.start()

    def next(self) -> Batch:
        """A fresh batch if one is ready, else a random one of the last thousands."""
        if self._seen and self._queue.empty():
            self.num_repeated += 1
            return self._rng.choice(self._seen)
        batch = self._queue.get()
        self.num_fresh += 1
        if len(self._seen) < 4000:
            self._seen.append(batch)
        else:
            self._seen[self._rng.randrange(len(self._seen))] = batch
        return batch

    def close(self) -> None:
        for worker in self._workers:
            worker.terminate()
