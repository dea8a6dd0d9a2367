"""How one server tells another that a carried flow has ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from routing.messages import request
from sipmesh.cli.versions import built
from sipmesh.server.proxy.login.end_of_flow import FLOW_FAILED, EndOfFlow, is_end
from sipmesh.sip.message import Request

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")

ROUTE = "<sip:token@fe1.example.test;transport=tls;lr;ob>"


class Told:
    """What was sent by which flow, and what the log has."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, Request]] = []
        self.lines: list[str] = []
        self._tokens = 0
        sender: Any = SimpleNamespace(send=self._send)
        log: Any = SimpleNamespace(info=lambda _who, event, **_: self.lines.append(event))
        self.end_of_flow = EndOfFlow("fe3.example.test", sender, self._token, log)

    def _send(self, by: Any, made: Request, then: Any) -> None:
        self.sent.append((by, made))
        then(430)

    def _token(self) -> str:
        self._tokens += 1
        return f"token{self._tokens}"


def flow(*, usable: bool) -> Any:
    """A flow to another server."""
    return SimpleNamespace(link=SimpleNamespace(usable=usable, id="link"), account=SimpleNamespace(name="fe1"))


def test_end_is_a_register_without_a_contact_that_names_the_flow_in_its_route() -> None:
    """So it changes no registration of another device."""
    told, by = Told(), flow(usable=True)
    told.end_of_flow.tell(by, ROUTE, "the client has gone")
    [(way, made)] = told.sent
    assert way is by
    assert is_end(made)
    assert (made.method, made.values("route"), made.values("contact")) == ("REGISTER", [ROUTE], [])
    assert made.call_id != made.from_.tag
    assert told.lines == ["carried flow ended"]


def test_server_whose_link_is_gone_gets_nothing() -> None:
    """The end of the link says the same."""
    told = Told()
    told.end_of_flow.tell(flow(usable=False), ROUTE, "the client has gone")
    assert (told.sent, told.lines) == ([], [])


@pytest.mark.parametrize(
    ("method", "reason", "ends"),
    [("REGISTER", FLOW_FAILED, True), ("REGISTER", "SIP;cause=200", False), ("MESSAGE", FLOW_FAILED, False)],
)
def test_only_a_register_with_this_reason_ends_a_flow(method: str, reason: str, *, ends: bool) -> None:
    assert is_end(request(method, "sip:fe3.example.test", ("reason", reason))) is ends
