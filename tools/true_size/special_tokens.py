"""The special tokens of the published vocabularies: text, type and, by their order, id."""

from dataclasses import dataclass

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # llama.h `enum llama_token_type`


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """One token that stands for itself."""

    text: str
    type: int = CONTROL


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Those with the first and with the last ids of a vocabulary."""

    last: tuple[SpecialToken, ...]
    first: tuple[SpecialToken, ...] = ()


def _controls(text: str) -> tuple[SpecialToken, ...]:
    return tuple(map(SpecialToken, text.split()))


def _user_defined(text: str) -> tuple[SpecialToken, ...]:
    return tuple(SpecialToken(word, USER_DEFINED) for word in text.split())


def _reserved(text: str, numbers: range) -> tuple[SpecialToken, ...]:
    return tuple(SpecialToken(text.format(number)) for number in numbers)


def _padding(ids: range, token_type: int) -> tuple[SpecialToken, ...]:
    return tuple(SpecialToken(f"[PAD{token_id}]", token_type) for token_id in ids)


QWEN_2 = SpecialTokens(  # from 151,643
    _controls("<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|>")
    + _controls("<|box_end|> <|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|>")
    + _controls("<|image_pad|> <|video_pad|>")
    + _user_defined("<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|>")
    + _user_defined("<|repo_name|> <|file_sep|>")
    + _padding(range(151_665, 151_936), UNUSED)
)
LLAMA_3 = SpecialTokens(  # from 128,000
    _controls("<|begin_of_text|> <|end_of_text|> <|reserved_special_token_0|> <|reserved_special_token_1|>")
    + _controls("<|finetune_right_pad_id|> <|reserved_special_token_2|> <|start_header_id|>")
    + _controls("<|end_header_id|> <|eom_id|> <|eot_id|> <|python_tag|>")
    + _reserved("<|reserved_special_token_{}|>", range(3, 248))
)
PHI_3 = SpecialTokens(  # from 32,000
    _controls("<|endoftext|> <|assistant|> <|placeholder1|> <|placeholder2|> <|placeholder3|>")
    + _controls("<|placeholder4|> <|system|> <|end|> <|placeholder5|> <|placeholder6|> <|user|>")
    + _padding(range(32_011, 32_064), UNKNOWN),
    first=(SpecialToken("<unk>"), SpecialToken("<s>"), SpecialToken("</s>", USER_DEFINED)),
)
GPT_OSS = SpecialTokens(  # from 199,998
    _controls("<|startoftext|> <|endoftext|> <|reserved_200000|> <|reserved_200001|> <|return|>")
    + _controls("<|constrain|> <|reserved_200004|> <|channel|> <|start|> <|end|> <|message|>")
    + _reserved("<|reserved_{}|>", range(200_009, 200_012))
    + _controls("<|call|>")
    + _reserved("<|reserved_{}|>", range(200_013, 200_018))
    + _controls("<|endofprompt|>")
    + _reserved("<|reserved_{}|>", range(200_019, 201_088))
)
