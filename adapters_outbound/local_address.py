"""Which of this machine's addresses another host would use."""

import asyncio
import ipaddress
import socket
from contextlib import suppress
from urllib.parse import urlsplit

_ANY_PORT = 9  # a route does not depend on it


async def reachable_uri(uri: str, *, peer_host: str) -> str:
    """`uri` for `peer_host` to call: a wildcard address in it becomes the one that faces that host.

    Raises:
        OSError: that host has no address of this kind, or there is no way to it.
    """
    parts = urlsplit(uri)
    wildcard = _wildcard(parts.hostname or "")
    if wildcard is None:
        return uri
    # A socket bound to :: takes IPv4 as well.
    family = socket.AF_INET if wildcard.version == 4 else socket.AF_UNSPEC
    address = await _address_towards(peer_host, family)
    host = f"[{address}]" if ":" in address else address
    return parts._replace(netloc=f"{host}:{parts.port}").geturl()


def _wildcard(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a name
        return None
    return address if address.is_unspecified else None


async def _address_towards(host: str, family: socket.AddressFamily) -> str:
    loop = asyncio.get_running_loop()
    candidates = await loop.getaddrinfo(host, _ANY_PORT, family=family, type=socket.SOCK_DGRAM)
    for found_family, kind, protocol, _, peer in candidates:
        with socket.socket(found_family, kind, protocol) as probe, suppress(OSError):
            probe.connect(peer)  # of a datagram socket: looks up the route, and sends nothing
            return str(probe.getsockname()[0])
    raise OSError(f"no way to {host}")
