"""Ports are given once: two processes that look at the same time are never given the same."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from sipmesh.demo.ports import BLOCK, HOST, PortBlock
from sipmesh.errors import OperatorError

TAKE = "from sipmesh.demo.ports import free_port; print(*[free_port() for _ in range(100)]); input()"


def test_a_port_is_given_once_in_a_round_and_can_be_opened() -> None:
    block = PortBlock()
    given = [block.free_port(HOST) for _ in range(BLOCK // 2)]
    assert len(set(given)) == len(given)
    for port in given:
        with socket.create_server((HOST, port)):
            pass


def test_a_port_in_use_is_passed_over() -> None:
    block = PortBlock()
    with socket.create_server((HOST, block.free_port(HOST))) as taken:
        assert taken.getsockname()[1] not in {block.free_port(HOST) for _ in range(BLOCK)}


def test_processes_are_never_given_the_same_port() -> None:
    """None of them has opened a port when the others choose."""
    others = [
        subprocess.Popen([sys.executable, "-c", TAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    block = PortBlock()  # of this process, which may have used many ports of its first one
    lists = [{block.free_port(HOST) for _ in range(100)}]
    for other in others:
        assert other.stdout is not None
        lists.append({int(port) for port in other.stdout.readline().split()})
    for other in others:
        other.communicate("\n")
        assert other.returncode == 0
    assert [len(ports) for ports in lists] == [100] * 4
    assert len(set.union(*lists)) == 400


def test_a_block_that_is_used_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipmesh.demo.ports._is_free", lambda _host, _port: False)
    with pytest.raises(OperatorError, match=r"every port of 127\.0\.0\.1 from \d+ to \d+ is used"):
        PortBlock().free_port(HOST)
