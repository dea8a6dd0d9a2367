"""Whether the ports of servers can be opened."""

from __future__ import annotations

import errno
import socket

import pytest

from sipmesh.cli.doctor import ports
from sipmesh.cli.doctor.check import State
from sipmesh.cli.doctor.ports import Port, port_checks
from sipmesh.demo.ports import free_port

FE1 = "fe1.example.com"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_port_of_another_program_is_a_fault_until_it_has_ended(host: str) -> None:
    """The remedy is followed: the other program is stopped."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as other:
        other.bind((host, 0))
        other.listen()
        port = other.getsockname()[1]
        [taken] = port_checks([Port(FE1, host, port)])
    [free] = port_checks([Port(FE1, host, port)])
    assert taken.state is State.BAD
    assert f"port {port} of {FE1} on {host} is in use" in taken.told
    assert f"ss -ltnp 'sport = :{port}'" in taken.remedy
    assert free.state is State.GOOD


def test_address_of_another_machine_is_a_fault() -> None:
    """Control: the address of this machine."""
    port = free_port()
    there, here = port_checks([Port(FE1, "192.0.2.1", port), Port(FE1, "127.0.0.1", port)])
    assert there.state is State.BAD
    assert "this machine does not have the address 192.0.2.1" in there.told
    assert here.state is State.GOOD


@pytest.mark.parametrize(
    ("error", "told"), [(errno.EACCES, "needs a privilege"), (errno.EAFNOSUPPORT, "cannot be opened (EAFNOSUPPORT)")]
)
def test_other_refusals_of_the_kernel_are_reported_with_what_to_do(error: int, told: str) -> None:
    check = ports._refused(Port(FE1, "127.0.0.1", 443), error)
    assert told in check.told
    assert check.remedy
