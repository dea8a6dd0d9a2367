"""The ports of one server: what is opened at its start, and what is left for a later version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.running.listening import Listening
from sipmesh.topology.document.listeners import ANYWHERE, ListenerSpec
from sipmesh.transport.accept.listener import ForeignAddressError, Spec
from sipmesh.trust.evidence import LinkKind
from support.telling import Told

HERE, FOREIGN, FOREIGN_V6 = "127.0.0.1", "192.0.2.1", "2001:db8::1"


@dataclass
class Port:
    """A listener without a socket; *contexts* are those that it has had."""

    spec: ListenerSpec
    contexts: list[Any]
    is_open: bool = True

    @property
    def kind(self) -> LinkKind:
        return self.spec.kind

    @property
    def address(self) -> tuple[str, int]:
        return self.spec.host, self.spec.port

    def swap(self, context: Any) -> None:
        self.contexts.append(context)

    def close(self) -> None:
        self.is_open = False


@dataclass
class Machine:
    """A machine that has the addresses *has*; *contexts* counts the TLS contexts that were made."""

    has: set[str] = field(default_factory=lambda: {HERE, ANYWHERE, "::"})
    contexts: int = 0

    def open(self, spec: ListenerSpec, context: Any) -> Any:
        if spec.host not in self.has:
            raise ForeignAddressError(f"{spec.host} is not an address of this machine")
        return Port(spec, [context])

    def context(self, _spec: Spec) -> Any:
        self.contexts += 1
        return self.contexts


def spec(kind: LinkKind, host: str = HERE) -> ListenerSpec:
    return ListenerSpec(kind, host, 5061, "fe1.example.test", str(kind))


@pytest.fixture(name="machine")
def _machine() -> Machine:
    return Machine()


@pytest.fixture(name="told")
def _told() -> Told:
    return Told()


@pytest.fixture(name="listening")
def _listening(machine: Machine, told: Told) -> Listening:
    return Listening(machine.open, machine.context, told.log)


def hosts(listening: Listening) -> dict[LinkKind, str]:
    return {one.kind: one.address[0] for one in listening.listeners}


def test_every_port_is_opened_and_reported(listening: Listening, told: Told) -> None:
    listening.start([spec(LinkKind.CLIENT), spec(LinkKind.SERVER)], is_managed=False)
    assert hosts(listening) == {LinkKind.CLIENT: HERE, LinkKind.SERVER: HERE}
    assert [one["kind"] for one in told.events("listening")] == ["client", "server"]
    assert listening.faults == ()


def test_foreign_address_ends_the_start_of_a_server_that_is_not_managed(listening: Listening) -> None:
    with pytest.raises(ForeignAddressError, match="is not an address of this machine"):
        listening.start([spec(LinkKind.CLIENT, FOREIGN)], is_managed=False)


@pytest.mark.parametrize(("host", "anywhere"), [(FOREIGN, ANYWHERE), (FOREIGN_V6, "::")])
def test_managed_server_opens_its_server_port_on_every_address_instead(
    listening: Listening, told: Told, host: str, anywhere: str
) -> None:
    """So that management can send the version that is right; no other peer is served meanwhile."""
    listening.start([spec(LinkKind.CLIENT, host), spec(LinkKind.SERVER, host)], is_managed=True)
    assert hosts(listening) == {LinkKind.SERVER: anywhere}
    assert len(listening.faults) == 2
    assert len([one for one in told.lines if "cannot listen" in one["event"]]) == 2


def test_change_gives_each_port_a_new_context_and_opens_what_was_missing(listening: Listening) -> None:
    listening.start([spec(LinkKind.CLIENT, FOREIGN), spec(LinkKind.SERVER, FOREIGN)], is_managed=True)
    listening.change([spec(LinkKind.CLIENT, FOREIGN), spec(LinkKind.SERVER, FOREIGN)])
    assert listening.faults == (f"{FOREIGN} is not an address of this machine",)
    listening.change([spec(LinkKind.CLIENT), spec(LinkKind.SERVER)])
    assert hosts(listening) == {LinkKind.SERVER: ANYWHERE, LinkKind.CLIENT: HERE}
    assert not listening.faults
    [server, client] = listening.listeners
    assert isinstance(server, Port)
    assert isinstance(client, Port)
    assert (len(server.contexts), len(client.contexts)) == (3, 1)
    listening.change([spec(LinkKind.CLIENT, FOREIGN), spec(LinkKind.PARTNER)])
    assert set(hosts(listening)) == {LinkKind.SERVER, LinkKind.CLIENT}, "new ports need a restart"


def test_port_that_cannot_be_opened_for_another_reason_is_a_fault(
    listening: Listening, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening.start([spec(LinkKind.CLIENT, FOREIGN)], is_managed=True)

    def taken(*_: object) -> Any:
        raise OperatorError("the port is in use")

    monkeypatch.setattr(listening, "_open_listener", taken)
    machine.has.add(FOREIGN)
    listening.change([spec(LinkKind.CLIENT, FOREIGN)])
    assert listening.faults == ("the port is in use",)


def test_closed_server_opens_no_port_for_a_new_version(listening: Listening) -> None:
    listening.start([spec(LinkKind.CLIENT, FOREIGN), spec(LinkKind.SERVER, FOREIGN)], is_managed=True)
    listening.close()
    listening.change([spec(LinkKind.CLIENT)])
    assert set(hosts(listening)) == {LinkKind.SERVER}
    ports: list[Any] = listening.listeners
    assert [port.is_open for port in ports] == [False]
