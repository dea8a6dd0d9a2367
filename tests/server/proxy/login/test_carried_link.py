"""The link of a client at another server, as its home pool has it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.server.proxy.login.carried_link import CarriedLink
from sipmesh.transport.limits import Limits
from sipmesh.transport.reactor.reactor import Reactor
from support.running import on_loop

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")


class Carried:
    """A carried link, with what was sent on its carrier and what became of it."""

    def __init__(self, reactor: Reactor) -> None:
        self.sent: list[bytes] = []
        self.logins: list[CarriedLink] = []
        self.ends: list[str] = []
        self.carrier: Any = SimpleNamespace(
            id="carrier",
            port="server",
            local=("127.0.0.1", 5062),
            usable=True,
            send=self._send,
            has_room=self._has_room,
        )
        carrier: Any = self.carrier
        self.link = CarriedLink(
            reactor, carrier, "fe1.example.test", 1 << 61, self.logins.append, lambda _, why: self.ends.append(why)
        )

    def _send(self, data: bytes) -> bool:
        self.sent.append(data)
        return True

    def _has_room(self, size: int) -> bool:
        return size <= 10


@on_loop
async def test_what_is_sent_to_the_client_goes_by_its_carrier() -> None:
    reactor = Reactor(asyncio.get_running_loop(), Limits())
    one = Carried(reactor)
    assert one.link.usable
    assert one.link.send(b"octets")
    assert one.sent == [b"octets"]
    assert (one.link.has_room(10), one.link.has_room(11)) == (True, False)
    one.carrier.usable = False
    assert (one.link.usable, one.link.has_room(1)) == (False, False)
    reactor.close()


@on_loop
async def test_login_is_reported_to_the_home_flows() -> None:
    reactor = Reactor(asyncio.get_running_loop(), Limits())
    one = Carried(reactor)
    one.link.authenticate()
    assert one.logins == [one.link]
    assert one.link.authenticated
    reactor.close()


@on_loop
async def test_end_is_reported_once_and_not_where_the_client_itself_has_gone() -> None:
    reactor = Reactor(asyncio.get_running_loop(), Limits())
    closed, gone = Carried(reactor), Carried(reactor)
    closed.link.drain()
    closed.link.close("again")
    assert closed.ends == ["drained"]
    assert (closed.link.why, closed.link.usable) == ("drained", False)
    gone.link.leave()
    gone.link.close("later")
    assert gone.ends == []
    gone.link.remote = "192.0.2.7", 0
    assert "of 192.0.2.7 at fe1.example.test by carrier" in repr(gone.link)
    reactor.close()
