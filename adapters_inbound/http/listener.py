"""The port, taken before anything is loaded. Imports no server: that is done while a model loads."""

import socket

from domain.errors import InvalidConfiguration


def bind(host: str, port: int) -> socket.socket:
    """Take `port` (0: any) on `host` without listening: until the server starts, connections are refused.

    Raises:
        InvalidConfiguration: the address is taken or is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that say they are TCP; without it each reply waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise InvalidConfiguration(f"cannot listen on {host} port {port}: {error}") from error
    return listener
