"""How text is cut into words before merging, by the name a model file gives the rule.

Each pattern is that of the models' own `tokenizer.json`; which names mean the same rule is from llama.cpp,
`llama-vocab.cpp`. A wrong rule gives wrong ids, so there is no default.
"""

from dataclasses import dataclass

from adapters_outbound.tokenizers.metadata_reader import MetadataReader

_KEY = "tokenizer.ggml.pre"
_GPT_2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_QWEN_2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA_3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class PreTokenizerRule:
    """One rule for cutting text into words."""

    pattern: str  # every match is a word, and so is what lies between matches
    ignore_merges: bool = False  # a word that is a token as it stands is taken whole
    adds_bos: bool = False  # where the file does not say


_GPT_2 = PreTokenizerRule(_GPT_2_PATTERN)
_QWEN_2 = PreTokenizerRule(_QWEN_2_PATTERN)
_LLAMA_3 = PreTokenizerRule(_LLAMA_3_PATTERN, ignore_merges=True, adds_bos=True)

_RULES = {
    "gpt-2": _GPT_2,
    "phi-2": _GPT_2,
    "qwen2": _QWEN_2,
    "deepseek-r1-qwen": _QWEN_2,
    "megrez": _QWEN_2,
    "llama-bpe": _LLAMA_3,
    "llama3": _LLAMA_3,
    "llama-v3": _LLAMA_3,
    "falcon3": _LLAMA_3,
    "pixtral": _LLAMA_3,
}


def read_pre_tokenizer_rule(reader: MetadataReader) -> PreTokenizerRule:
    """The rule the file names.

    Raises:
        ModelLoadFailed: it names none, or one that is not known here.
    """
    name = reader.text(_KEY)
    if name not in _RULES:
        reader.refuse(_KEY, f"one of {', '.join(sorted(_RULES))}", actual=repr(name))
    return _RULES[name]
