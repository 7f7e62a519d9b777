"""Train the byte-level BPE vocabulary on the corpus, and load it for training.

The merges are learned from text without nonces, so that a nonce always falls into short pieces and
every piece is common. The words are split as GPT-2 splits them (`tokenizer.ggml.pre = "gpt-2"`).
Command: python -m tools.haiku.tokenizer
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tools.haiku.corpus import MEASURED, random_pairs

VOCAB_SIZE = 4096
BOS, EOS = "<|bos|>", "<|eos|>"
BOS_ID, EOS_ID = 0, 1
TOKENIZER_PATH = Path(__file__).parent / "tokenizer.json"
NUM_PAIRS, SEED = 30_000, 11


def texts(num_pairs: int, seed: int) -> Iterator[str]:
    """Prompts and poems of the pairs that ask for no nonce; the poems twice, their words matter most."""
    pairs = islice(random_pairs(seed, MEASURED), num_pairs)
    for request, poem in pairs:
        if request.nonce is None:
            yield request.prompt
            yield poem
            yield poem


def train_tokenizer() -> Tokenizer:
    """All 256 byte symbols, BOS = 0, EOS = 1, and merges up to VOCAB_SIZE."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(NUM_PAIRS, SEED), trainer)
    return tokenizer


def load_tokenizer() -> Tokenizer:
    """The trained one."""
    return Tokenizer.from_file(str(TOKENIZER_PATH))


def main() -> None:
    """Train it and write it where it is loaded from."""
    argparse.ArgumentParser(
        prog="python -m tools.haiku.tokenizer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    train_tokenizer().save(str(TOKENIZER_PATH))


if __name__ == "__main__":
    main()
