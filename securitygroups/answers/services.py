"""Services by the names that this machine knows."""

import socket


def service_port(name: str, protocol: str) -> int | None:
    """The port of a service in the machine's /etc/services, None where it is not there."""
    try:
        return socket.getservbyname(name, protocol)
    except OSError:
        return None
