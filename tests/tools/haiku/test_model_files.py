"""Vocabulary and metadata of the GGUF files, and which block type each matrix gets."""

import numpy as np

from tools.haiku.gguf_metadata import model_metadata
from tools.haiku.quant_mix import tensor_kind
from tools.haiku.tokenizer import BOS, BOS_ID, EOS, EOS_ID, load_tokenizer


def test_any_text_can_be_encoded_and_comes_back() -> None:
    tokenizer = load_tokenizer()
    text = "Write a haiku\n\n about 日本 🌸 \x00 ÿ 42!  " + "".join(map(chr, range(1, 256)))

    assert text == tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False)


def test_all_256_byte_symbols_and_both_control_tokens_are_in_the_vocabulary() -> None:
    vocab = load_tokenizer().get_vocab()

    assert (vocab[BOS], vocab[EOS]) == (BOS_ID, EOS_ID) == (0, 1)
    assert len([token for token in vocab if len(token) == 1]) == 256
    assert len(vocab) == 4096


def test_the_metadata_names_every_token_and_merge() -> None:
    metadata = model_metadata(
        mix="Q4_K_M",
        hidden_size=256,
        intermediate_size=1024,
        num_layers=8,
        num_heads=8,
        num_kv_heads=4,
        tokenizer=load_tokenizer(),
    )
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]

    assert isinstance(tokens, list)
    assert isinstance(types, np.ndarray)
    assert tokens[:2] == [BOS, EOS]
    assert types.tolist() == [3, 3] + [1] * 4094
    assert metadata["general.file_type"] == 15
    assert metadata["llama.rope.dimension_count"] == 32


def test_every_merge_makes_a_token_of_the_vocabulary() -> None:
    metadata = model_metadata(
        mix="F16",
        hidden_size=256,
        intermediate_size=1024,
        num_layers=8,
        num_heads=8,
        num_kv_heads=4,
        tokenizer=load_tokenizer(),
    )
    merges, tokens = metadata["tokenizer.ggml.merges"], metadata["tokenizer.ggml.tokens"]

    assert isinstance(merges, list)
    assert isinstance(tokens, list)
    assert {merge.replace(" ", "") for merge in merges} <= set(tokens)


def test_q4_k_m_gives_more_bits_where_the_real_mix_does() -> None:
    heavy = [n for n in range(8) if tensor_kind(f"blk.{n}.ffn_down.weight", "Q4_K_M", 8) == "Q6_K"]

    assert heavy == [0, 3, 6, 7]
    assert tensor_kind("token_embd.weight", "Q4_K_M", 8) == "Q6_K"
    assert tensor_kind("blk.0.attn_q.weight", "Q4_K_M", 8) == "Q4_K"
    assert tensor_kind("blk.0.attn_norm.weight", "Q4_K_M", 8) == "F32"
    assert tensor_kind("blk.5.attn_v.weight", "MXFP4", 8) == "MXFP4"
