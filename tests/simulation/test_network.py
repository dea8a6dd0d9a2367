"""The virtual network: in order within a connection, late between connections, and silent where it is cut."""

from __future__ import annotations

import errno
import random

import pytest

from simulation.loop import VirtualLoop
from simulation.network import KEEPALIVE_S, PROBED_S, UNACKNOWLEDGED_S, Network
from simulation.processes import Process, ProcessState, within
from simulation.virtual_sockets import ROOM, Record, VirtualSocket


@pytest.fixture(name="network")
def _network() -> Network:
    return Network(VirtualLoop(random.Random(1), lambda *_: None), random.Random(2))


@pytest.fixture(name="ends")
def _ends(network: Network) -> tuple[VirtualSocket, VirtualSocket]:
    """A connection of a phone with a server."""
    listener = VirtualSocket(network, "fe1", None)
    listener.bind((network.address_of("fe1"), 5061))
    listener.listen(8)
    phone = VirtualSocket(network, "alice", None)
    network.connect(phone, listener.local)
    network.loop.run(1.0)
    server, _ = listener.accept()
    return phone, server


def texts(end: VirtualSocket) -> list[bytes]:
    """What has arrived, joined as a stream."""
    return [b"".join(record.data for record in end.inbox)]


def test_records_arrive_in_order(network: Network, ends: tuple[VirtualSocket, VirtualSocket]) -> None:
    phone, server = ends
    sent = [b"%d " % number for number in range(100)]
    for data in sent:
        phone.put(Record("data", data))
    network.loop.run(2.0)
    assert texts(server) == [b"".join(sent)]


def test_without_a_listener_no_connection_opens(network: Network) -> None:
    phone = VirtualSocket(network, "alice", None)
    network.connect(phone, (network.address_of("fe1"), 5061))
    network.loop.run(1.0)
    assert phone.getsockopt(1, 4) == errno.ECONNREFUSED


def test_a_cut_that_ends_in_time_loses_nothing(network: Network, ends: tuple[VirtualSocket, VirtualSocket]) -> None:
    """TCP sends again what was lost."""
    phone, server = ends
    network.cut_between("alice", "fe1", both=False)
    phone.put(Record("data", b"hello"))
    network.loop.run(1.0 + UNACKNOWLEDGED_S - 0.1)
    assert texts(server) == [b""]
    network.heal("alice", "fe1")
    network.loop.run(60.0)
    assert (texts(server), phone.error) == ([b"hello"], 0)


def test_a_sender_notices_a_long_cut(network: Network, ends: tuple[VirtualSocket, VirtualSocket]) -> None:
    """The other end learns of it from TCP's keepalive only."""
    phone, server = ends
    network.cut_between("alice", "fe1", both=True)
    phone.put(Record("data", b"hello"))
    network.loop.run(1.0 + UNACKNOWLEDGED_S + 0.1)
    assert (phone.error, server.error) == (errno.ETIMEDOUT, 0)
    network.loop.run(1.0 + KEEPALIVE_S + 0.1)
    assert server.error == errno.ETIMEDOUT


def test_a_sender_learns_after_a_cut_that_its_peer_is_gone(
    network: Network, ends: tuple[VirtualSocket, VirtualSocket]
) -> None:
    """What TCP sends again is answered by a reset."""
    phone, server = ends
    network.cut_between("alice", "fe1", both=True)
    phone.put(Record("data", b"hello"))
    server.close()
    network.loop.run(10.0)
    assert phone.error == 0
    network.heal("alice", "fe1")
    assert phone.error == errno.ECONNRESET


def test_what_is_on_its_way_arrives_after_its_sender_died(
    network: Network, ends: tuple[VirtualSocket, VirtualSocket]
) -> None:
    """The network belongs to no process."""
    phone, server = ends
    process = Process("fe1", "")
    process.sockets[10] = server
    within(process).run(server.put, Record("data", b"hello"))
    within(process).run(lambda: network.end_of(process, silently=False))
    process.state = ProcessState.DEAD
    network.loop.forget(process)
    network.loop.run(2.0)
    assert (texts(phone), phone.error) == ([b"hello"], errno.ECONNRESET)


def test_a_probe_finds_out_that_a_peer_has_lost_its_power(
    network: Network, ends: tuple[VirtualSocket, VirtualSocket]
) -> None:
    """There is no notification: an idle connection stays half-open for a minute."""
    phone, server = ends
    process = Process("fe1", "")
    process.sockets[10] = server
    network.end_of(process, silently=True)
    network.loop.run(1.0 + PROBED_S - 0.1)
    assert phone.error == 0
    network.loop.run(1.0 + PROBED_S + 0.1)
    assert phone.error == errno.ECONNRESET


def test_a_connection_holds_so_much(network: Network, ends: tuple[VirtualSocket, VirtualSocket]) -> None:
    """A peer that does not read fills its connection; what it reads makes room."""
    phone, server = ends
    phone.put(Record("data", b"x" * ROOM))
    network.loop.run(2.0)
    assert (phone.room, phone.ready_for(4)) == (0, 0)
    server.take()
    assert phone.ready_for(4) == 4


@pytest.mark.parametrize("unread", [False, True])
def test_a_closed_end_is_read_as_the_end(
    network: Network, ends: tuple[VirtualSocket, VirtualSocket], *, unread: bool
) -> None:
    """A kernel that drops unread octets resets the connection instead."""
    phone, server = ends
    if unread:
        phone.put(Record("data", b"hello"))
        network.loop.run(2.0)
    server.close()
    network.loop.run(3.0)
    assert (phone.eof, phone.error) == (True, errno.ECONNRESET if unread else 0)


def _pair(network: Network, process: Process) -> tuple[VirtualSocket, VirtualSocket]:
    one, other = within(process).run(network.socketpair)
    return one, other


def test_a_process_gives_its_end_of_a_pair_to_another(network: Network) -> None:
    """What is sent comes to the other process, although the first one closes its copy."""
    supervisor, worker = Process("fe1", ""), Process("fe1", "", number=1)
    ours, theirs = _pair(network, supervisor)
    given = theirs.shared_with(worker)
    theirs.close()
    assert ours.send(b"order") == 5
    network.loop.run(1.0)
    assert given.recv(9) == b"order"
    network.end_of(worker, silently=False)
    network.loop.run(2.0)
    assert ours.recv(9) == b""


def test_processes_share_a_port_and_it_stays_while_one_has_it(network: Network) -> None:
    """Connections that were not accepted wait for the next worker; without a handle they are refused."""
    supervisor, worker = Process("fe1", ""), Process("fe1", "", number=1)
    held = VirtualSocket(network, "fe1", supervisor)
    held.bind((network.address_of("fe1"), 5061))
    held.shared_with(worker).listen(8)
    network.end_of(worker, silently=False)
    phone = VirtualSocket(network, "alice", None)
    network.connect(phone, held.local)
    network.loop.run(1.0)
    assert phone.connected
    second = held.shared_with(Process("fe1", "", number=1))
    assert second.accept()[1] == phone.local
    second.close()
    held.close()
    refused = VirtualSocket(network, "alice", None)
    network.connect(refused, held.local)
    network.loop.run(2.0)
    assert refused.error == errno.ECONNREFUSED
