"""What the files beside a `tokenizer.json` say: which tokens begin and end a text, and how long it may be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters_outbound.tokenizers.json_file import parse_json_object, read_json_file

_TOKENIZER_CONFIG = "tokenizer_config.json"
_SPECIAL_TOKENS = "special_tokens_map.json"
_GENERATION_CONFIG = "generation_config.json"
_NO_LIMIT = 10**9  # where a model has none, `transformers` writes 10^30


@dataclass(frozen=True, slots=True)
class SideFiles:
    """What is known; nothing is required."""

    bos_token: str | None
    eos_token: str | None
    bos_token_id: int | None
    eos_token_ids: tuple[int, ...]
    adds_bos: bool | None
    model_max_context: int | None


def read_side_files(folder: Path) -> SideFiles:
    """Read those of the files that are there.

    Raises:
        ModelLoadFailed: one cannot be read or is not what it should be; the message names its path.
    """
    config = _read(folder / _TOKENIZER_CONFIG)
    special_tokens = _read(folder / _SPECIAL_TOKENS)
    generation = _read(folder / _GENERATION_CONFIG)
    length, adds_bos = config.get("model_max_length"), config.get("add_bos_token")
    eos_token_id = generation.get("eos_token_id")
    eos_token_ids = eos_token_id if isinstance(eos_token_id, list) else [eos_token_id]
    return SideFiles(
        bos_token=_text(config.get("bos_token")) or _text(special_tokens.get("bos_token")),
        eos_token=_text(config.get("eos_token")) or _text(special_tokens.get("eos_token")),
        bos_token_id=_token_id(generation.get("bos_token_id")),
        eos_token_ids=tuple(token_id for token_id in map(_token_id, eos_token_ids) if token_id is not None),
        adds_bos=adds_bos if isinstance(adds_bos, bool) else None,
        model_max_context=int(length) if isinstance(length, int | float) and 0 < length < _NO_LIMIT else None,
    )


def _read(path: Path) -> dict[str, Any]:
    return parse_json_object(read_json_file(path, required=False), path)


def _text(token: object) -> str | None:
    """The text of a token that is given as text or as an object with `content`."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) and token else None


def _token_id(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
