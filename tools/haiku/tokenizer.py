"""Train the byte-level BPE vocabulary on the corpus, and load it for training.

The merges are learned from text without nonces, so that a nonce always falls into short pieces and
every piece is common. The words are split as GPT-2 splits them (`tokenizer.ggml.pre = "gpt-2"`).
Command: python -m tools.haiku.tokenizer
"""

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


def train_tokenizer(num_pairs: int = NUM_PAIRS, seed: int = SEED, vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """All 256 byte symbols, BOS = 0, EOS = 1, and merges up to vocab_size."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(num_pairs, seed), trainer)
    return tokenizer


def load_tokenizer(path: Path = TOKENIZER_PATH) -> Tokenizer:
    return Tokenizer.from_file(str(path))


if __name__ == "__main__":
    train_tokenizer().save(str(TOKENIZER_PATH))
