"""How text is cut into words before merging, by the name a model file gives the rule.

Which names mean the same rule is from llama.cpp, `llama-vocab.cpp`. A wrong rule gives wrong ids, so there
is no default; names whose rule is not made of patterns alone, or not for bytes, are not here.
"""

from dataclasses import dataclass

from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, PreTokenizer, Sequence, Split

from adapters_outbound.tokenizers import pre_tokenizer_patterns as patterns
from adapters_outbound.tokenizers.metadata_reader import MetadataReader
from domain.metadata import shown

_KEY = "tokenizer.ggml.pre"


@dataclass(frozen=True, slots=True)
class PreTokenizerRule:
    """One rule for cutting text into words."""

    patterns: tuple[str, ...]  # applied in turn; every match is a word, and so is what lies between matches
    ignore_merges: bool = False  # a word that is a token as it stands is taken whole
    adds_bos: bool = False  # where the file does not say

    def build(self) -> PreTokenizer:
        """Build the library's pre-tokenizer, which also maps bytes to characters."""
        splits: list[PreTokenizer] = [Split(Regex(pattern), behavior="isolated") for pattern in self.patterns]
        return Sequence([*splits, ByteLevel(add_prefix_space=False, use_regex=False)])


_LLAMA_3 = PreTokenizerRule(patterns.LLAMA_3, ignore_merges=True, adds_bos=True)

_NAMES: tuple[tuple[str, PreTokenizerRule], ...] = (
    (
        "gpt-2 phi-2 a.x-4.0 exaone4 gigachat granite-docling jais mellum mpt olmo trillion",
        PreTokenizerRule(patterns.GPT_2),
    ),
    (
        "qwen2 deepseek-r1-qwen f2llmv2 grok-2 hunyuan kormo megrez solar-open stablelm2",
        PreTokenizerRule(patterns.QWEN_2),
    ),
    ("qwen35", PreTokenizerRule(patterns.QWEN_35)),
    ("llama-bpe llama3 llama-v3 falcon3 falcon-h1 lfm2 midm-2.0 pixtral", _LLAMA_3),
    ("chatglm-bpe dbrx glm4 smaug-bpe", PreTokenizerRule(patterns.LLAMA_3)),
    ("gpt-4o kanana2 llama4 minimax-m2 talkie", PreTokenizerRule(patterns.GPT_4O)),
    ("tekken", PreTokenizerRule(patterns.TEKKEN, ignore_merges=True, adds_bos=True)),
    ("youtu", PreTokenizerRule(patterns.YOUTU, ignore_merges=True)),
    (
        "starcoder codeshell command-r exaone mellum2 minerva-7b refact smollm",
        PreTokenizerRule(patterns.STARCODER),
    ),
    ("falcon", PreTokenizerRule(patterns.FALCON)),
    ("chameleon", PreTokenizerRule(patterns.CHAMELEON, adds_bos=True)),
    ("deepseek-llm", PreTokenizerRule(patterns.DEEPSEEK_LLM)),
    ("deepseek-coder", PreTokenizerRule(patterns.DEEPSEEK_CODER)),
    ("deepseek-v3 hunyuan-dense hy_v4 joyai-llm", PreTokenizerRule(patterns.DEEPSEEK_3)),
    ("spark2_5", PreTokenizerRule(patterns.SPARK_25)),
    ("bloom gpt3-finnish poro-chat", PreTokenizerRule(patterns.BLOOM)),
    ("viking", PreTokenizerRule(patterns.VIKING)),
    ("bailingmoe bailingmoe2 llada-moe", PreTokenizerRule(patterns.BAILING)),
    ("exaone-moe", PreTokenizerRule(patterns.EXAONE_MOE)),
    ("jais-2", PreTokenizerRule(patterns.JAIS_2)),
    ("laguna", PreTokenizerRule(patterns.LAGUNA)),
    ("minicpm5", PreTokenizerRule(patterns.MINICPM_5, ignore_merges=True)),
    ("seed-coder", PreTokenizerRule(patterns.SEED_CODER)),
    ("ufakzeka", PreTokenizerRule(patterns.UFAKZEKA)),
)
PRE_TOKENIZER_RULES = {name: rule for names, rule in _NAMES for name in names.split()}


def read_pre_tokenizer_rule(reader: MetadataReader) -> PreTokenizerRule:
    """The rule the file names.

    Raises:
        ModelLoadFailed: it names none, or one that is not known here.
    """
    name = reader.text(_KEY)
    if name not in PRE_TOKENIZER_RULES:
        reader.refuse(_KEY, f"one of {', '.join(sorted(PRE_TOKENIZER_RULES))}", actual=shown(name))
    return PRE_TOKENIZER_RULES[name]
