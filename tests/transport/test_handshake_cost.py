"""The number of calls for one accepted mutual handshake of a known peer: a guard that does not depend on machine speed."""

from __future__ import annotations

import select
import socket
import ssl
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from sipmesh.demo.forge import Forge
from sipmesh.transport.accept.listener import Listener
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import LinkState
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.transport.tls.contexts import Identity, MutualContext
from sipmesh.trust.authority import Authority
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import Judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import Role
from sipmesh.trust.trusted_peer import TrustedPeer
from sipmesh.trust.trusted_peers import TrustedPeers
from support.counting import counted
from transport.world import WITHIN_S, Heard, Spec

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from sipmesh.trust.verdict import Verdict

HERE, THERE = "fe1.example.test", "fe2.example.test"

# From accept to the accepted link, with pyOpenSSL: 229 and 146 when this was written. Before verdicts were cached:
# 898 and 567 with three servers in the topology, 1,789 and 1,755 with three hundred. With ML-KEM, a ClientHello has more than
# 512 octets, so that its records are looked at before OpenSSL reads them: 15 more in Python, 19 more in C. Since a connection
# waits for its first octets before it gets a place: 14 more in Python, 3 more in C. Since handshakes have an epoll of their own:
# 4 more in Python, 8 more in C. Since a link says by ALPN what it is for: 5 more in Python, 2 more in C. Since the key of each
# certificate of the path is looked at before its use: 12 more in Python, 14 more in C. Since a peer may staple, and a
# certificate may be that of a device: 3 more in Python. Since a ClientHello is noticed without its random: 5 less in Python, 6
# less in C. Each Python counts a few more or less: 1 % is left.
PYTHON_CALLS, C_CALLS = 309, 221


class StillLoop:
    """The loop methods that a reactor uses; nothing runs on this loop by itself."""

    def time(self) -> float:
        return 1.0

    def add_reader(self, *_: object) -> None: ...

    def remove_reader(self, *_: object) -> None: ...

    def call_at(self, *_: object) -> StillLoop:
        return self

    call_soon = call_at

    def cancel(self) -> None: ...


@dataclass
class Stage:
    """A server port that judges by the topology, and a peer with a certificate for that topology."""

    listener: Listener
    reactor: Reactor
    heard: Heard
    client: ssl.SSLContext

    @classmethod
    def build(cls, folder: Path, *, peers: int, revoked: int) -> Stage:
        """Build it with that many servers in the topology, and that many serial numbers on each CRL."""
        forge = Forge(datetime.now(UTC))
        issuing = forge.organisation("Example")
        assert issuing.issuer is not None
        serials = range(1, revoked + 1)
        lists = [RevocationList.load(forge.revocations(one, serials)) for one in (issuing.issuer, issuing)]
        authority = Authority("Example", (issuing.issuer.certificate,), RevocationLists(lists))
        names = [THERE, *(f"fe{n}.example.test" for n in range(3, peers + 2))]
        policy = LinkPolicy(
            kind=LinkKind.SERVER,
            here=HERE,
            may_open=frozenset(names),
            peers=TrustedPeers(_server(name, authority) for name in names),
        )
        here = Identity.load(*forge.server(issuing, HERE).write(folder, "here"))
        forge.server(issuing, THERE).write(folder, "there")
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.load_cert_chain(folder / "there.pem", folder / "there.key")

        experienced = Judge(policy)

        def by_topology(_link: Link, evidence: PeerEvidence) -> Verdict:
            return experienced.judge(evidence, at=datetime.now(UTC))

        heard = Heard(judge_by=by_topology)
        reactor = Reactor(cast("asyncio.AbstractEventLoop", StillLoop()))
        context = MutualContext(here, authority.anchors)
        return cls(Listener(reactor, Spec(LinkKind.SERVER), context, heard), reactor, heard, client)

    def handshake(self) -> Counter[str]:
        """Accept the peer once, and count the calls of this side from accept to the accepted link."""
        calls: Counter[str] = Counter()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.client.wrap_bio(incoming, outgoing)
        with socket.create_connection(self.listener.address, timeout=WITHIN_S) as sock:
            self._turn(calls)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    if outgoing.pending:
                        sock.sendall(outgoing.read())
                        self._turn(calls)
                    incoming.write(sock.recv(65_536))
            sock.sendall(outgoing.read())
            self._turn(calls)
            link = self.heard.up.pop()
            assert link.state is LinkState.UP
            link.close("the end of the test")
            self.reactor._finish()
        return calls

    def _turn(self, calls: Counter[str]) -> None:
        assert select.select([self.reactor._epoll.fileno()], [], [], WITHIN_S)[0]
        with counted(calls):
            self.reactor._turn()

    def close(self) -> None:
        self.listener.close()
        self.reactor.close()


def _server(name: str, authority: Authority) -> TrustedPeer:
    names = frozenset({name, "example.test"})
    return TrustedPeer(name, Role.FRONT_END, "pool", names, frozenset({name}), frozenset(), authority)


def cost(folder: Path, *, peers: int, revoked: int) -> tuple[int, int]:
    """Return the calls of a handshake whose peer was accepted before."""
    stage = Stage.build(folder, peers=peers, revoked=revoked)
    try:
        stage.handshake()
        second, third = stage.handshake(), stage.handshake()
    finally:
        stage.close()
    assert second == third
    return third["call"], third["c_call"]


def test_handshake_of_a_known_peer_stays_within_its_call_budget(tmp_path: Path) -> None:
    python, c = cost(tmp_path, peers=3, revoked=10)
    assert python <= PYTHON_CALLS
    assert c <= C_CALLS


@pytest.mark.parametrize(("peers", "revoked"), [(300, 10), (3, 10_000)])
@pytest.mark.wide
def test_handshake_cost_does_not_grow_with_topology_or_crls(tmp_path: Path, peers: int, revoked: int) -> None:
    assert cost(tmp_path / "large", peers=peers, revoked=revoked) == cost(tmp_path / "small", peers=3, revoked=10)
