"""The request to run one job, and its validation: every field checked, all failures reported at once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import InvalidRequest
from domain.field_reader import FieldReader

MAX_JOB_ID_CHARS = 256
MAX_PROMPT_CHARS = 32_768
MAX_STOPS = 4
MAX_STOP_TOKENS = 32
MAX_STOP_CHARS = MAX_STOP_TOKENS * 1024  # no vocabulary has a token that long
MAX_SEED = 2**64 - 1

_JOB_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ExecuteRequest:
    """One validated request. Token counts are checked later, when the text has been tokenized."""

    job_id: str
    prompt: str
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    stop: tuple[str, ...]
    seed: int | None  # None: the worker draws one and reports it


def validate_execute_request(
    body: Mapping[str, object], *, max_tokens_out: int, vocab_size: int
) -> ExecuteRequest:
    """Check every field of a decoded JSON object; unknown fields are ignored, null means omitted.

    Raises:
        InvalidRequest: with one FieldError for each field that does not hold.
    """
    fields = FieldReader(body)
    request = ExecuteRequest(
        job_id=_job_id(fields),
        prompt=_prompt(fields),
        max_tokens=fields.integer("max_tokens", 1, max_tokens_out, default=max_tokens_out),
        temperature=fields.number("temperature", 0.0, 2.0, default=1.0),
        top_p=fields.number("top_p", 0.0, 1.0, default=1.0),
        top_k=fields.integer("top_k", 0, vocab_size, default=0),
        min_p=fields.number("min_p", 0.0, 1.0, default=0.0),
        repetition_penalty=fields.number("repetition_penalty", 0.0, 2.0, default=1.0),
        stop=_stop(fields),
        seed=_seed(fields),
    )
    if fields.errors:
        raise InvalidRequest.of(fields.errors)
    return request


def validate_job_id(body: Mapping[str, object]) -> str:
    """Check the one field of a cancel request.

    Raises:
        InvalidRequest: `job_id` is missing or is not one.
    """
    fields = FieldReader(body)
    job_id = _job_id(fields)
    if fields.errors:
        raise InvalidRequest.of(fields.errors)
    return job_id


def _job_id(fields: FieldReader) -> str:
    job_id = fields.required_string("job_id")
    if job_id is None:
        return ""
    if not 1 <= len(job_id) <= MAX_JOB_ID_CHARS:
        fields.refuse("job_id", f"length(1..={MAX_JOB_ID_CHARS})", f"has {len(job_id)} characters")
    elif not _JOB_ID.fullmatch(job_id):
        fields.refuse(
            "job_id", "pattern([A-Za-z0-9_-]+)", "may hold letters, digits, '_' and '-' only", job_id
        )
    return job_id


def _prompt(fields: FieldReader) -> str:
    prompt = fields.required_string("prompt")
    if prompt is None:
        return ""
    if not 1 <= len(prompt) <= MAX_PROMPT_CHARS:
        fields.refuse("prompt", f"length(1..={MAX_PROMPT_CHARS})", f"has {len(prompt)} characters")
    elif flaw := _text_flaw(prompt):
        fields.refuse("prompt", *flaw)
    return prompt


def _stop(fields: FieldReader) -> tuple[str, ...]:
    stops = fields.strings("stop")
    if len(stops) > MAX_STOPS:
        fields.refuse("stop", f"max_count({MAX_STOPS})", f"has {len(stops)} entries")
    elif "" in stops:
        fields.refuse("stop", "non_empty", "has an empty entry")
    elif (most_chars := max(map(len, stops), default=0)) > MAX_STOP_CHARS:
        fields.refuse("stop", f"max_tokens({MAX_STOP_TOKENS})", f"has an entry of {most_chars} characters")
    elif flaw := next(filter(None, map(_text_flaw, stops)), None):
        fields.refuse("stop", *flaw)
    return stops


def _seed(fields: FieldReader) -> int | None:
    seed = fields.optional_integer("seed")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        fields.refuse("seed", "uint64", f"must be in 0..={MAX_SEED}", seed)
    return seed


def _text_flaw(text: str) -> tuple[str, str] | None:
    """(constraint, message) of text that no tokenizer may see; None where it is sound."""
    if "\0" in text:
        return "no_nul", "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "valid_unicode", "holds a lone surrogate"
    return None
