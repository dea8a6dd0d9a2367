"""What the operator wants: by options, or asked on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from cli.world import environment
from sipmesh.cli.organisation.wishes import Wishes, own_addresses
from sipmesh.errors import OperatorError
from sipmesh.topology.document.load import load

HERE, THERE = "192.0.2.10", "192.0.2.11"
reached = pytest.mark.skipif(not own_addresses(), reason="this machine has no address that others could reach")


@pytest.mark.parametrize(
    ("wishes", "management", "front_ends"),
    [
        (Wishes(), "127.0.0.1", ("127.0.0.1",)),
        (Wishes(address=HERE), HERE, (HERE,)),
        (Wishes(management=HERE), HERE, (HERE,)),
        (Wishes(front_ends=(HERE, THERE)), HERE, (HERE, THERE)),
        (Wishes(management=HERE, front_ends=(THERE,)), HERE, (THERE,)),
        (Wishes(address=THERE, management=HERE), HERE, (THERE,)),
    ],
)
def test_what_options_leave_out_is_derived_from_the_others(
    wishes: Wishes, management: str, front_ends: tuple[str, ...]
) -> None:
    """Without a terminal nothing is asked."""
    layout = wishes.layout("example.com")
    assert (layout.management, layout.front_ends) == (management, front_ends)


@pytest.mark.parametrize(
    ("wishes", "named"),
    [
        (Wishes(edges=(THERE,)), "--address"),
        (Wishes(address="fe1"), "not an IP address"),
        (Wishes(administrator="Ada Lovelace"), "not a name of an operator"),
        (Wishes(public_ca="http://ca.test/dir"), "is no public CA: name letsencrypt"),
        (Wishes(front_ends=("127.0.0.1",), edges=(THERE,)), "--management"),
    ],
)
def test_what_is_missing_or_wrong_is_reported_with_its_option(wishes: Wishes, named: str) -> None:
    with pytest.raises(OperatorError, match=named):
        wishes.layout("example.com")


def type_at_a_terminal(folder: Path, *answers: str, domain: tuple[str, ...] = ("example.com",)) -> str:
    """Type *answers* to `sipmesh init`, one after each question; returns all that is on the screen."""
    command = [sys.executable, "-m", "sipmesh", "init", *domain, "--dir", str(folder)]
    outer, inner = pty.openpty()
    with subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment()) as process:
        os.close(inner)
        screen = ""
        for answer in answers:
            screen += _up_to(outer, ": ")
            os.write(outer, f"{answer}\n".encode())
        screen += _up_to(outer, "")
        assert process.wait() == 0, screen
    os.close(outer)
    return screen


def _up_to(terminal: int, end: str) -> str:
    """Read what is on the screen up to a question, or to the end of the program."""
    seen = ""
    while not end or not seen.endswith(end):
        try:
            seen += os.read(terminal, 4096).decode()
        except OSError:  # the program has ended
            break
    return seen


@reached
def test_terminal_is_asked_for_what_the_machine_cannot_know(tmp_path: Path) -> None:
    """An answer that is no domain, or no address, is asked for again."""
    answers = ("", "short", "example.com", "fe1", HERE, f"{HERE} {THERE}", "", "ada")
    screen = type_at_a_terminal(tmp_path / "o", *answers, domain=())
    assert "short name" in screen
    assert own_addresses()[0] in screen
    assert "not an IP address" in screen
    assert f"on {THERE}, in an empty folder:  sipmesh join request fe2.example.com" in screen
    topology = load(tmp_path / "o" / "topology.yaml").topology
    assert [str(server.address) for pool in topology.pools for server in pool.servers] == [HERE, HERE, THERE]
    assert topology.console is not None


@pytest.mark.wide
@reached
def test_empty_answer_is_a_network_for_this_machine_alone(tmp_path: Path) -> None:
    screen = type_at_a_terminal(tmp_path / "o", "")
    assert "Addresses of the front ends" not in screen
    [address] = {
        str(server.address) for pool in load(tmp_path / "o" / "topology.yaml").topology.pools for server in pool.servers
    }
    assert address == "127.0.0.1"
