"""The command line of the worker process."""

import argparse
from collections.abc import Callable, Mapping, Sequence

from adapters_inbound.cli.options import OPTIONS, Option, OptionValue

_DESCRIPTION = """\
Serve one GGUF model from one GPU's memory over HTTP.

Every option can be given as an environment variable too (LLORCH_WORKER_MODEL, ...); the command line wins.
"""
_EPILOG = """\
Other commands, each with its own --help:
  worker-orcd demo         start a worker with the model on board and ask it for a haiku
  worker-orcd tokenize     text to token ids, and back
  worker-orcd perplexity   how well a model predicts a text
  worker-orcd proof        check a proof bundle, and replay its determinism pairs
"""


def parse_arguments(arguments: Sequence[str]) -> dict[str, OptionValue]:
    """Parse the command line; only what was given is in the result, by its name in Settings.

    `version`, and `verbose` beside it, are True where they are asked for.

    Raises:
        SystemExit: with status 2 and a usage message, or 0 after --help.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    if "verbose" in given and "version" not in given:
        parser.error("--verbose goes with --version")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def exit_for_missing(options: Sequence[Option]) -> None:
    """Leave with a usage error that names required options that were given nowhere. Raises SystemExit."""
    names = ", ".join(f"--{option.name}" for option in options)
    _parser().error(f"the following arguments are required: {names}")


def convert_environment(environment: Mapping[str, str]) -> tuple[dict[str, OptionValue], list[str]]:
    """(values given by environment variables, a message for each that is not of its type)."""
    values: dict[str, OptionValue] = {}
    problems: list[str] = []
    for option in OPTIONS:
        text = environment.get(option.environment_variable)
        if text is None:
            continue
        try:
            values[option.field] = convert_text(option, text)
        except ValueError as error:
            problems.append(f"{option.environment_variable}: {error}")
    return values, problems


def convert_text(option: Option, text: str) -> OptionValue:
    """The value that `text` gives `option`; of one that may be repeated, words separated by blanks.

    Raises:
        ValueError: it is no such value.
    """
    return tuple(text.split()) if option.repeatable else _convert_one(option, text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="worker-orcd",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="with --version: print those of Python and libraries, and the devices too",
    )
    for option in OPTIONS:
        flags = [f"--{name}" for name in (option.name, *option.aliases)]
        parser.add_argument(
            *flags,
            dest=option.field,
            action="append" if option.repeatable else "store",
            type=_argparse_type(option),
            metavar=option.metavar,
            help=_help(option),
        )
    return parser


def _help(option: Option) -> str:
    notes = [f"one of {', '.join(option.choices)}"] if option.choices else []
    if option.required:
        notes.append("required")
    elif option.default not in (None, ()):
        notes.append(f"default {option.default}")
    return f"{option.help} ({'; '.join(notes)})" if notes else option.help


def _convert_one(option: Option, text: str) -> OptionValue:
    if option.choices and text not in option.choices:
        raise ValueError(f"{text!r} is not one of {', '.join(option.choices)}")
    return option.convert(text)


def _argparse_type(option: Option) -> Callable[[str], OptionValue]:
    def for_argparse(text: str) -> OptionValue:
        try:
            return _convert_one(option, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return for_argparse
