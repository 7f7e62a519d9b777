"""What the files beside a `tokenizer.json` say: which tokens begin and end a text, and how long it may be."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from domain.errors import ModelLoadFailed

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
    config = read_json_object(folder / _TOKENIZER_CONFIG, required=False)
    special_tokens = read_json_object(folder / _SPECIAL_TOKENS, required=False)
    generation = read_json_object(folder / _GENERATION_CONFIG, required=False)
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


def read_json_object(path: Path, *, required: bool = True) -> dict[str, Any]:
    """Read a file that holds one JSON object; where it is not `required`, a missing one is empty.

    Raises:
        ModelLoadFailed: it cannot be read or holds something else; the message names its path.
    """
    if not required and not path.exists():
        return {}
    try:
        content: object = json.loads(path.read_bytes())
    except OSError as exc:
        refuse_file(path, "a file that can be read", actual=exc.strerror or str(exc), cause=exc)
    except ValueError as exc:
        refuse_file(path, "JSON in UTF-8", actual=str(exc), cause=exc)
    except RecursionError as exc:
        refuse_file(path, "JSON in UTF-8", actual="JSON nested too deeply", cause=exc)
    if not isinstance(content, dict):
        refuse_file(path, "a JSON object", actual=type(content).__name__)
    return content


def refuse_file(path: Path, expected: str, *, actual: str, cause: Exception | None = None) -> NoReturn:
    """Raise the failure that says that the file at `path` is not as `expected`."""
    raise ModelLoadFailed(
        f"{path}: expected {expected}, found {actual}",
        model_path=str(path),
        expected=expected,
        actual=actual,
    ) from cause


def _text(token: object) -> str | None:
    """The text of a token that is given as text or as an object with `content`."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) and token else None


def _token_id(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
