"""`worker-orcd tokenize`: text to token ids and back, with the tokenizer of a file and no device."""

import argparse
import json
import re
import sys
from collections.abc import Sequence

from adapters_outbound.gguf.opener import GgufModelFileOpener
from adapters_outbound.tokenizers.factory import build_tokenizer
from adapters_outbound.tokenizers.gguf_sentencepiece import GgufSentencePieceTokenizer
from adapters_outbound.tokenizers.hf_json import HfJsonTokenizer, build_hf_json
from domain.errors import WorkerError
from domain.utf8_decoder import Utf8Decoder
from ports.tokenizer import Tokenizer

_PROGRAM = "worker-orcd tokenize"
_DESCRIPTION = """\
Print the token ids of a text, or with --decode the text of token ids, by the tokenizer of FILE: a GGUF file,
whether it holds a model or a vocabulary alone, or a tokenizer.json.
"""


class _BadInput(Exception):
    """What was given is no text, or no ids of the vocabulary."""


def run_tokenize(arguments: Sequence[str]) -> int:
    """Encode or decode. Returns the exit status: 1 for a bad file or input, 2 for wrong usage."""
    try:
        options = _parser().parse_intermixed_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        tokenizer = _load(options.file)
        text = _read_standard_input() if options.text is None else _checked(options.text)
        line = _decode(tokenizer, text, options) if options.decode else _encode(tokenizer, text, options)
    except (WorkerError, _BadInput) as error:
        print(f"{_PROGRAM}: {error}", file=sys.stderr)  # noqa: T201 for the person
        return 1
    sys.stdout.buffer.write(line.encode() + b"\n")
    sys.stdout.flush()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("file", metavar="FILE", help="a GGUF file or a tokenizer.json")
    parser.add_argument("text", metavar="TEXT", nargs="?", help="the text, or the ids; else standard input")
    parser.add_argument("--no-special", action="store_true", help="read markup such as <|im_end|> as text")
    parser.add_argument("--bos", action="store_true", help="put the BOS token first")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--decode", action="store_true", help="turn ids back into text")
    return parser


def _load(path: str) -> Tokenizer:
    if path.lower().endswith(".json"):
        return build_hf_json(path)
    file = GgufModelFileOpener().open_vocabulary(path)
    try:
        return build_tokenizer(file.metadata, path=file.path)
    finally:
        file.close()


def _read_standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise _BadInput(f"standard input is not UTF-8: {error.reason} at byte {error.start}") from error


def _checked(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _BadInput(f"the text is not UTF-8: {error.reason} at character {error.start}") from error
    return text


def _encode(tokenizer: Tokenizer, text: str, options: argparse.Namespace) -> str:
    token_ids = tokenizer.encode(text, add_bos=options.bos, parse_special=not options.no_special)
    if not options.json:
        return " ".join(map(str, token_ids))
    return _json(tokenizer, ids=token_ids, count=len(token_ids))


def _decode(tokenizer: Tokenizer, text: str, options: argparse.Namespace) -> str:
    token_ids = _parse_ids(text, tokenizer.vocab_size)
    decoder = Utf8Decoder()
    decoded = decoder.feed(b"".join(map(tokenizer.decode_bytes, token_ids))) + decoder.finish()
    if _adds_space_prefix(tokenizer):
        decoded = decoded.removeprefix(" ")
    return _json(tokenizer, text=decoded) if options.json else decoded


def _parse_ids(text: str, vocab_size: int) -> list[int]:
    """Ids with blanks or commas between, in brackets or not."""
    token_ids: list[int] = []
    for word in re.split(r"[\s,]+", text.strip("[], \t\r\n")):
        if word and not re.fullmatch(r"[0-9]{1,10}", word):
            raise _BadInput(f"expected token ids, found {word!r:.80}")
        token_ids += [int(word)] if word else []
    for token_id in token_ids:
        if token_id >= vocab_size:
            raise _BadInput(f"expected token ids below {vocab_size}, found {token_id}")
    return token_ids


def _adds_space_prefix(tokenizer: Tokenizer) -> bool:
    """Whether what it encodes begins with a blank that was not in the text, which decoding takes away."""
    if isinstance(tokenizer, GgufSentencePieceTokenizer | HfJsonTokenizer):
        return tokenizer.adds_space_prefix
    return False


def _json(tokenizer: Tokenizer, **results: object) -> str:
    facts = {"tokenizer_kind": tokenizer.kind, "vocab_size": tokenizer.vocab_size}
    return json.dumps(results | facts, ensure_ascii=False)
