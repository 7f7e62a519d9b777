"""Where the narration goes."""

import sys

from loguru import logger

from adapters_outbound.narration.loguru_narrator import format_json, format_pretty

_LOGURU_LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL"}


def configure_narration(level: str, log_format: str) -> None:
    """Send narration to standard output as JSON lines, or to standard error for people.

    Args:
        level: the least to send, `TRACE` to `FATAL`; `MUTE` sends nothing.
        log_format: `json` or `pretty`.

    Replaces what was configured before. Call it once, from the process's main function.
    """
    logger.remove()
    if level == "MUTE":
        return
    stream, formatter = (sys.stdout, format_json) if log_format == "json" else (sys.stderr, format_pretty)
    logger.add(
        stream,
        level=_LOGURU_LEVELS.get(level, level),
        format=formatter,
        filter=lambda record: "narration" in record["extra"],
        colorize=False,
        backtrace=False,
        diagnose=False,  # a traceback's local variables may hold a prompt
    )
