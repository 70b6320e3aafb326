"""Who may use sandboxes: clients on this machine."""

from __future__ import annotations

from ipaddress import ip_address

from starlette.requests import HTTPConnection

from assistant.errors import SandboxesClosed


def require_local(connection: HTTPConnection) -> None:
    """Raises `SandboxesClosed` for a client on another machine."""
    host = connection.client.host if connection.client else ""
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "testclient"
    if not local:
        raise SandboxesClosed
