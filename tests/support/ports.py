"""Ports for workers that must serve at a known one."""

import os
import socket
from itertools import chain

# Below those that Linux hands out to clients: else one that polls the port may be given it as its own end,
# and would then meet itself there.
_FIRST, _END = 20_000, 32_768


def free_port() -> int:
    """A port that nobody has now, and that no outgoing connection will get."""
    start = _FIRST + os.getpid() % (_END - _FIRST)
    for port in chain(range(start, _END), range(_FIRST, start)):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port is taken")
