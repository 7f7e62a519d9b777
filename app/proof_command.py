"""`worker-orcd proof`: check a proof bundle, and have a running worker repeat its determinism pairs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from adapters_outbound.proof_bundle.determinism import read_model, read_pairs
from adapters_outbound.proof_bundle.integrity import BrokenBundle, check_integrity, num_listed
from app.client import JobFailed, WorkerClient, WorkerRefused
from app.proof_replay import AnotherModel, Mismatch, NoWorker, check_model, replay

_DESCRIPTION = """\
Check a proof bundle: every file against its SHA-256 and its header, no file missing, none added. With --url,
ask the worker there what the bundle's determinism pairs were asked, and say which token differs first. The
bearer token that the worker may want is taken from LLORCH_WORKER_TOKEN.
"""


def run_proof(arguments: Sequence[str]) -> int:
    """Verify. Returns the exit status: 1 for a bundle or worker that does not hold, 2 for wrong usage."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        is_sound = _is_sound(options.directory)
        if is_sound and options.url is not None:
            return 0 if _is_repeatable(options.directory, options.url) else 1
    except (BrokenBundle, AnotherModel, WorkerRefused, JobFailed, NoWorker, OSError) as error:
        print(f"worker-orcd proof verify: {error}", file=sys.stderr)  # noqa: T201 for the person
        return 1
    _say("replay: not done; it takes a sound bundle and --url of a running worker")
    return 0 if is_sound else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="worker-orcd proof", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="verify")
    verify = commands.add_parser(
        "verify", description=_DESCRIPTION, help="check a bundle", allow_abbrev=False
    )
    verify.add_argument("directory", metavar="DIR", type=Path, help="the folder with manifest.sha256")
    verify.add_argument("--url", type=_worker_url, help="a running worker, for example http://127.0.0.1:9001")
    return parser


def _worker_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme == "http" and parts.hostname and parts.port
    except ValueError:  # no such port, or no such host
        is_valid = False
    if not is_valid:
        raise argparse.ArgumentTypeError(f"expected http://HOST:PORT, found {text!r}")
    return text


def _is_sound(directory: Path) -> bool:
    problems = check_integrity(directory)
    for problem in problems:
        _say(f"integrity: {problem}")
    if not problems:
        _say(f"integrity: all {num_listed(directory)} files are as they were written")
    return not problems


def _is_repeatable(directory: Path, url: str) -> bool:
    model = read_model(directory)
    if model is None:
        _say("replay: not done; this bundle has no determinism pairs")
        return True
    client = WorkerClient(url, bearer_token=os.environ.get("LLORCH_WORKER_TOKEN", "").strip() or None)
    check_model(client, model)
    pairs = read_pairs(directory)
    differing = []
    for mismatch in replay(client, pairs):
        _tell(mismatch)
        differing.append(mismatch.pair)
    if differing:
        _say(f"replay: {len(differing)} of {len(pairs)} pairs differ")
    else:
        _say(f"replay: all {len(pairs)} pairs gave the recorded tokens")
    return not differing


def _tell(mismatch: Mismatch) -> None:
    pair, difference = mismatch.pair, mismatch.difference
    expected, actual = (
        "the end" if token_id is None else str(token_id)
        for token_id in (difference.expected, difference.actual)
    )
    _say(
        f"{pair.comparison}, {pair.pair}: token {difference.index} differs: expected {expected}, got {actual}"
    )
    _say(f"  after {mismatch.text_before!r}")
    _say(f"  recorded {mismatch.recorded_text!r}")
    _say(f"  replayed {mismatch.replayed_text!r}")


def _say(line: str) -> None:
    print(line)  # noqa: T201 the result
