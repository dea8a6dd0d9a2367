"""The ports of the organisations that are copied for each test: the copies use them again, one after the other.

So the text of a topology is the same in each test, and a process parses it once. No other server is given these ports. An
organisation that has to run beside another copy of itself gets ports of its own (`support.network.copied`).
"""

from __future__ import annotations

from functools import cache

from sipmesh.demo.ports import HOST, PortBlock


@cache
def _block() -> PortBlock:
    return PortBlock()


def model_port() -> int:
    """Give a port of this process that `sipmesh.demo.ports.free_port` gives to no process."""
    return _block().free_port(HOST)


@cache
def name_server_port() -> int:
    """Give the port of the name server of a test."""
    return model_port()
