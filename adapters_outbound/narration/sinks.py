"""Where the narration goes."""

import sys

from loguru import logger

from adapters_outbound.narration.line_writer import LineWriter
from adapters_outbound.narration.loguru_narrator import format_json, format_pretty
from ports.narrator import Level, Narrator

_LOGURU_LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL"}


def configure_narration(level: str, log_format: str, narrator: Narrator) -> LineWriter:
    """Send narration to standard output as JSON lines, or to standard error for people.

    Args:
        level: the least to send, `TRACE` to `FATAL`; `MUTE` sends nothing.
        log_format: `json` or `pretty`.
        narrator: tells how many lines were lost to a reader that did not read.

    Returns:
        What writes the lines, to be closed at the end of the process.

    Replaces what was configured before. Call it once, from the process's main function.
    """
    logger.remove()
    stream, formatter = (sys.stdout, format_json) if log_format == "json" else (sys.stderr, format_pretty)

    def tell_lost(num_lines: int) -> None:
        narrator.narrate(
            "narration_lost",
            f"lost {num_lines} lines of this log, which nobody read",
            level=Level.WARN,
            num_lines=num_lines,
        )

    writer = LineWriter(stream.fileno(), on_lost=tell_lost)
    if level != "MUTE":
        logger.add(
            writer.write,
            level=_LOGURU_LEVELS.get(level, level),
            format=formatter,
            filter=lambda record: "narration" in record["extra"],
            colorize=False,
            backtrace=False,
            diagnose=False,  # a traceback's local variables may hold a prompt
        )
    return writer
