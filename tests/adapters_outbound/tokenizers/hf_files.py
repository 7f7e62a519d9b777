"""`tokenizer.json` files as the `tokenizers` library writes them, with the vocabularies of the vectors."""

from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteFallback, Fuse, Replace, Strip
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.decoders import Sequence as DecoderSequence
from tokenizers.models import BPE
from tokenizers.normalizers import Prepend
from tokenizers.normalizers import Replace as ReplaceText
from tokenizers.normalizers import Sequence as NormalizerSequence
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing

from adapters_outbound.tokenizers.vocabulary import TokenType
from tests.adapters_outbound.tokenizers.sentencepiece_sets import SentencePieceSet, load_sentencepiece_sets
from tests.adapters_outbound.tokenizers.vectors import VectorSet, load_vector_sets

BLANK = "\u2581"


def byte_level_tokenizer() -> Tokenizer:
    """The vocabulary of the vectors for GPT-2, its ids included; nothing is put before a prompt."""
    vectors = load_vector_sets()["gpt-2"]
    merges = vectors.metadata["tokenizer.ggml.merges"]
    assert isinstance(merges, list)
    normal = {token: token_id for token_id, token in enumerate(tokens_of(vectors, TokenType.NORMAL))}
    pairs = [(line.split(" ")[0], line.split(" ")[1]) for line in merges]
    tokenizer = Tokenizer(BPE(normal, pairs))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    control, user_defined = (
        [AddedToken(text, normalized=False) for text in tokens_of(vectors, token_type)]
        for token_type in (TokenType.CONTROL, TokenType.USER_DEFINED)
    )
    tokenizer.add_special_tokens(control)
    tokenizer.add_tokens(user_defined)
    return tokenizer


def sentencepiece_tokenizer() -> Tokenizer:
    """A SentencePiece vocabulary as Llama 2's file has it: a blank first, bytes for what is unknown, BOS."""
    vectors = load_sentencepiece_sets()["byte fallback"]
    ids = {token: token_id for token_id, token in enumerate(vectors.tokens)}
    tokenizer = Tokenizer(BPE(ids, merges_of(vectors), byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = NormalizerSequence([Prepend(BLANK), ReplaceText(" ", BLANK)])
    tokenizer.decoder = DecoderSequence([Replace(BLANK, " "), ByteFallback(), Fuse(), Strip(" ", 1, 0)])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", ids["<s>"])])
    specials = ("<unk>", "<s>", "</s>", "<|im_end|>")
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in specials])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    return tokenizer


def merges_of(vectors: SentencePieceSet) -> list[tuple[str, str]]:
    """Every pair that makes a token, by the token's score: right where no two tokens have the same."""
    known = set(vectors.tokens)
    ranked = sorted(zip(vectors.scores, vectors.tokens, strict=True), key=lambda scored: -scored[0])
    return [
        (token[:cut], token[cut:])
        for _, token in ranked
        if not token.startswith("<")
        for cut in range(1, len(token))
        if token[:cut] in known and token[cut:] in known
    ]


def tokens_of(vectors: VectorSet, token_type: TokenType) -> list[str]:
    tokens, types = (vectors.metadata[f"tokenizer.ggml.{key}"] for key in ("tokens", "token_type"))
    assert isinstance(tokens, list)
    assert isinstance(types, np.ndarray)
    return [token for token, number in zip(tokens, types.tolist(), strict=True) if number == token_type]


def save(tokenizer: Tokenizer, folder: Path, **side_files: str) -> str:
    """Write `tokenizer.json` and files beside it, named without ending. Returns its path."""
    for name, content in side_files.items():
        (folder / f"{name}.json").write_text(content, encoding="utf-8")
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return str(path)
