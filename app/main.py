"""Entry point of the `worker-orcd` command."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker, or the subcommand that the first argument names. Returns the exit status."""
    try:
        # Only here: imports take the first 50 ms, and Ctrl-C is answered from the first.
        from app.standard_streams import answering_for_output, open_missing  # noqa: PLC0415

        open_missing()
        from app.command import run_command  # noqa: PLC0415 as above

        given = sys.argv[1:] if arguments is None else list(arguments)
        return answering_for_output(lambda: run_command(given))
    except KeyboardInterrupt:  # before the worker listens for signals: there is nothing to end yet
        return 0
