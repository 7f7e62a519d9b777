"""Which ids end a generation: those the file names, and the end-of-turn tokens known by their text.

Files name one EOS id, yet chat models end a turn with another token, so there is a list of texts.
Source: llama.cpp `llama-vocab.cpp`, `special_eog_ids`, without its tokens for filling in the middle of code:
they end no turn, and M0-W-1422 names the sets of the reference models without them.
"""

from collections.abc import Mapping

from adapters_outbound.tokenizers.metadata_reader import MetadataReader

_ID_KEYS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id")
_ID_LIST_KEY = "tokenizer.ggml.eos_token_ids"
_INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")

_TEXTS = (
    "<|endoftext|>",  # GPT-2, Qwen, GPT-OSS
    "<|im_end|>",  # ChatML: Qwen and many others
    "<|eot_id|>",  # Llama 3
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",  # Phi-3
    "<|return|>",  # GPT-OSS
    "<|call|>",
    "<|calls|>",  # Solar Open
    "<|flush|>",
    "<end_of_turn>",  # Gemma
    "<turn|>",
    "<|tool_response>",
    "<eos>",
    "</s>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",  # Kimi K2
    "[EOS]",
    "<end_of_utterance>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",  # DeepSeek: fullwidth bars, U+2581 for blanks
    "[e~[",  # MiniMax
)

# in a vocabulary that has all of the second, the first ends a message and not the turn
_NOT_BESIDE = (
    ("<|end|>", {"<|return|>", "<|call|>"}),
    ("<|end|>", {"<|flush|>", "<|calls|>"}),
    ("</s>", {"<|tool_response>"}),
)


def end_of_generation_ids(
    reader: MetadataReader, control_ids: Mapping[str, int], *, vocab_size: int
) -> frozenset[int]:
    """Collect the ids that end a generation.

    Args:
        reader: the file's metadata.
        control_ids: the ids of all control tokens, by text; any other token is text, whatever it says.
        vocab_size: how many ids there are.

    Raises:
        ModelLoadFailed: the file names an id that does not exist.
    """
    return end_ids_of_file(reader, vocab_size=vocab_size) | known_end_ids(control_ids)


def end_ids_of_file(reader: MetadataReader, *, vocab_size: int) -> frozenset[int]:
    """Those that the file names; raises as `end_of_generation_ids`."""
    named = (reader.token_id(key, vocab_size=vocab_size) for key in _ID_KEYS)
    return frozenset(token_id for token_id in named if token_id is not None) | _listed_ids(reader, vocab_size)


def known_end_ids(control_ids: Mapping[str, int]) -> frozenset[int]:
    """Those of the control tokens, given by text, that are known to end a turn."""
    return frozenset(
        control_ids[text] for text in _TEXTS if text in control_ids and not _displaced(text, control_ids)
    )


def _listed_ids(reader: MetadataReader, vocab_size: int) -> set[int]:
    if not reader.has(_ID_LIST_KEY):
        return set()
    token_ids: list[int] = reader.numbers(_ID_LIST_KEY, dtypes=_INTEGERS).tolist()
    for token_id in token_ids:
        if not 0 <= token_id < vocab_size:
            reader.refuse(_ID_LIST_KEY, f"token ids below {vocab_size}", actual=f"{token_id}")
    return set(token_ids)


def _displaced(text: str, control_ids: Mapping[str, int]) -> bool:
    return any(text == token and others <= control_ids.keys() for token, others in _NOT_BESIDE)
