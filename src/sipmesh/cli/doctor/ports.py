"""Whether the ports of servers can be opened on this machine."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from sipmesh.cli.doctor.check import bad, good

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipmesh.cli.doctor.check import Check

PORTS: Final = "ports"


class Port(NamedTuple):
    """A port of a *server*: the IP address to bind, the *number*, and what sets another number."""

    server: str
    host: str
    number: int
    setting: str = ""


def port_checks(ports: Iterable[Port]) -> Iterator[Check]:
    """Try to open each of *ports*, which no server of ours holds; one line for all that can be opened."""
    free = []
    for port in ports:
        error = _error_of(port.host, port.number)
        if error:
            yield _refused(port, error)
        else:
            free.append(f"{port.number} of {port.server}")
    if free:
        yield good(PORTS, f"can be opened: port {', '.join(free)}")


def _error_of(host: str, port: int) -> int:
    """Give the errno with which a port cannot be opened; 0 if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
            tried.listen(1)
    except OSError as wrong:
        return wrong.errno or errno.EINVAL
    return 0


def _refused(refused: Port, error: int) -> Check:
    server, host, port, setting = refused
    other = setting or f"choose another port: sipmesh topology change {server} ports=…"
    where = f"port {port} of {server} on {host}"
    if error == errno.EADDRINUSE:
        remedy = f"see which: ss -ltnp 'sport = :{port}'; stop it, or {other}"
        return bad(PORTS, f"{where} is in use by another program", remedy)
    if error == errno.EADDRNOTAVAIL:
        remedy = f"give {server} an address of its machine: sipmesh topology change {server} address=… (or bind=…, behind NAT)"
        return bad(PORTS, f"{where} cannot be opened: this machine does not have the address {host}", remedy)
    if error in {errno.EACCES, errno.EPERM}:
        remedy = (
            f"allow it: sysctl net.ipv4.ip_unprivileged_port_start={port}, or {setting or 'choose a port above 1023'}"
        )
        return bad(PORTS, f"{where} needs a privilege", remedy)
    return bad(
        PORTS, f"{where} cannot be opened ({errno.errorcode.get(error, error)})", "correct its address in the topology"
    )
