"""What the command line asks for: a worker, or a subcommand."""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from adapters_inbound.cli.arguments import exit_for_missing, parse_arguments
from app.settings import Settings, merge, validate
from app.version import VERSION
from domain.errors import InvalidConfiguration, WorkerError
from domain.redaction import redact
from ports.narrator import Level

_LAST_LINES_S = 1.0  # at most, for a reader of the log that has stopped reading
_LEAST_LAST_LINES_S = 0.1  # for one that reads, however late it is

# By name, since a worker that serves needs none of what they import.
_SUBCOMMANDS = {
    "demo": ("app.demo", "run_demo"),
    "tokenize": ("app.tokenize_command", "run_tokenize"),
    "perplexity": ("app.perplexity_command", "run_perplexity"),
    "proof": ("app.proof_command", "run_proof"),
}


def run_command(given: Sequence[str]) -> int:
    """Run the subcommand that the first argument names, or else a worker. Returns the exit status."""
    if given and given[0] in _SUBCOMMANDS:
        module, function = _SUBCOMMANDS[given[0]]
        return int(getattr(import_module(module), function)(given[1:]))
    return _serve(given)


def _serve(arguments: Sequence[str]) -> int:
    given: dict[str, Any] = dict(parse_arguments(arguments))
    if "version" in given:
        return _tell_version(is_verbose="verbose" in given)
    try:
        given, names, missing = merge(given, os.environ)
        if missing:
            exit_for_missing(missing)
        settings = validate(given, names)
    except InvalidConfiguration as error:
        return _refuse(given, error)
    return _run(settings)


def _tell_version(*, is_verbose: bool) -> int:
    if is_verbose:
        return int(import_module("app.version_command").run_version())
    print(f"worker-orcd {VERSION}")  # noqa: T201 for the person
    return 0


def _refuse(given: Mapping[str, Any], error: InvalidConfiguration) -> int:
    """Tell of settings that cannot be used, with what is known of them; exit status 1 (M0-W-1111)."""
    from adapters_outbound.narration.loguru_narrator import LoguruNarrator  # noqa: PLC0415 as in `_run`
    from adapters_outbound.narration.sinks import configure_narration  # noqa: PLC0415
    from adapters_outbound.system import SystemClock  # noqa: PLC0415

    model = given.get("model")
    identity = {"worker_id": given.get("worker_id"), "model_ref": given.get("model_ref") or f"file:{model}"}
    narrator = LoguruNarrator(
        SystemClock(), version=VERSION, identity={**identity, "gpu_device": given.get("gpu_device")}
    )
    level, log_format = str(given.get("log_level", "INFO")), str(given.get("log_format", "json"))
    narration = configure_narration(level, log_format, narrator)
    narrator.narrate(
        "error",
        f"cannot start: {error.code}",
        level=Level.ERROR,
        error_kind=error.code,
        error_message=error.message,
        model_path=model,
    )
    narration.close(_LAST_LINES_S)
    _tell_person(error)
    return 1


def _run(settings: Settings) -> int:
    # BLAS threads spin while they wait for each other: on a busy machine two are far slower than one, and the
    # event loop needs a core too. Read when NumPy is imported; who knows better sets it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    # Until the model is loaded: a start makes half a million objects, and hardly one of them is garbage.
    gc.disable()

    # Imported only now: --help and a wrong flag answer at once, without the server's libraries.
    import uvloop  # noqa: PLC0415

    from adapters_outbound.narration.sinks import configure_narration  # noqa: PLC0415
    from app.container import Container  # noqa: PLC0415
    from app.process import WorkerProcess  # noqa: PLC0415

    container = Container(settings=settings, identity=_identity(settings))
    narration = configure_narration(settings.log_level, settings.log_format, container.narrator())
    process = WorkerProcess(container, on_abort=lambda: narration.close(_LEAST_LAST_LINES_S))
    try:
        status = uvloop.run(process.run())
    finally:
        narration.close(max(_LEAST_LAST_LINES_S, min(_LAST_LINES_S, process.shutdown_time.left_s())))
    if process.failure is not None:
        _tell_person(process.failure)
    return status


def _tell_person(error: WorkerError) -> None:
    """One line on standard error, after all that was narrated."""
    from adapters_outbound.narration.line_writer import LineWriter  # noqa: PLC0415 as in `_run`

    writer = LineWriter(sys.stderr.fileno())
    writer.write(f"worker-orcd: {error.code}: {redact(error.message)}\n")
    writer.close(_LEAST_LAST_LINES_S)


def _identity(settings: Settings) -> dict[str, object]:
    return {
        "worker_id": settings.worker_id,
        "model_ref": settings.model_ref or f"file:{settings.model}",
        "gpu_device": settings.gpu_device,
    }
