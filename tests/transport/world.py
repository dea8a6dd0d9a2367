"""Real links on loopback: nodes with a judge that is simple to predict, and peers that are not our code."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import subprocess
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ParamSpec, Self

import pytest
from cryptography import x509

from sipmesh.sip.message import Request, build_request
from sipmesh.transport.accept.listener import Listener
from sipmesh.transport.connector import Connector
from sipmesh.transport.hop import Hop
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.events import LinkEvents
from sipmesh.transport.link.link import Link
from sipmesh.transport.pool import LinkPool
from sipmesh.transport.reactor.event_loop import Loop
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.transport.tls.contexts import ClientContext, ClientPortContext, Identity, MutualContext
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from sipmesh.trust.finding import Finding
from sipmesh.trust.verdict import Verdict
from support.running import until

if TYPE_CHECKING:
    from sipmesh.sip.framing import FramingError
    from sipmesh.sip.message import Response
    from sipmesh.transport.resolver import Resolver
    from sipmesh.transport.tls.contexts import AcceptingContext, OpeningContext
    from transport.authority import Authority

P = ParamSpec("P")
both_ports = pytest.mark.parametrize("kind", [LinkKind.CLIENT, LinkKind.SERVER])
WITHIN_S = 10.0  # no wait is expected to take a tenth of this; a longer wait fails the test


def on_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(test(*args, **kwargs))

    return run


@dataclass(frozen=True)
class Spec:
    kind: LinkKind
    host: str = "127.0.0.1"
    port: int = 0
    name: str = "here.test"

    @property
    def key(self) -> str:
        return str(self.kind)


def dns_names(der: bytes) -> frozenset[str]:
    names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return frozenset(names.value.get_values_for_type(x509.DNSName))


def predictable(link: Link, evidence: PeerEvidence) -> Verdict:
    """Accepts every finished handshake, and a peer with the name that was meant."""
    proved = dns_names(evidence.presented[0]) if evidence.presented else frozenset()
    right_name = not link.meant or link.meant in proved
    code = Code(evidence.failure.code) if evidence.failure else Code.ACCEPTED if right_name else Code.NAME_MISMATCH
    passed = code is Code.ACCEPTED
    saw = evidence.failure.text if evidence.failure else ", ".join(proved)
    return Verdict(
        subject=next(iter(proved), evidence.remote[0]),
        code=code,
        findings=(Finding("test", passed, link.meant, saw, "a rule of the test", code),),
        at=datetime.now(UTC),
        kind=evidence.kind,
        direction=evidence.direction,
        remote=evidence.remote,
        tls=evidence.tls,
        proved=proved if passed else frozenset(),
        meant=link.meant,
    )


@dataclass
class Heard(LinkEvents):
    """LinkEvents that records everything, and for which tests can wait."""

    judge_by: Callable[[Link, PeerEvidence], Verdict] = predictable
    on_up: Callable[[Link], None] | None = None
    on_message: Callable[[Link, Request | Response], None] | None = None
    answer: bytes | None = None
    up: list[Link] = field(default_factory=list)
    messages: list[tuple[Link, Request | Response]] = field(default_factory=list)
    down: list[tuple[Link, str, Verdict | None]] = field(default_factory=list)
    refusals: list[Verdict] = field(default_factory=list)
    evidence: list[PeerEvidence] = field(default_factory=list)
    faults: list[FramingError] = field(default_factory=list)

    def judge(self, link: Link, evidence: PeerEvidence) -> Verdict:
        self.evidence.append(evidence)
        return self.judge_by(link, evidence)

    def link_up(self, link: Link) -> None:
        self.up.append(link)
        if self.on_up is not None:
            self.on_up(link)

    def arrived(self, link: Link, message: Request | Response) -> None:
        self.messages.append((link, message))
        if self.on_message is not None:
            self.on_message(link, message)

    def faulty(self, _link: Link, fault: FramingError) -> bytes | None:
        self.faults.append(fault)
        return self.answer

    def link_down(self, link: Link, why: str, verdict: Verdict | None) -> None:
        self.down.append((link, why, verdict))

    def refused(self, verdict: Verdict) -> None:
        self.refusals.append(verdict)

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until *happened* is true."""
        async with asyncio.timeout(WITHIN_S):
            await until(happened)

    @property
    def codes(self) -> list[str]:
        return [str(verdict.code) for verdict in self.refusals]


class Node:
    """The links of one process: reactor, events, listeners, connector and pool."""

    def __init__(
        self,
        authority: Authority,
        identity: Identity | None = None,
        *,
        limits: Limits | None = None,
        resolver: Resolver | None = None,
        heard: Heard | None = None,
    ) -> None:
        self.authority, self.identity = authority, identity
        self.heard = heard or Heard()
        self.reactor = Reactor(asyncio.get_running_loop(), replace(limits or Limits(), redial_s=0))
        self.listeners: list[Listener] = []
        self.connector = Connector(self.reactor, self.heard, self.context_for, resolver)
        self.pool = LinkPool(self.reactor, self.connector)

    def context_for(self, _hop: Hop) -> OpeningContext:
        if self.identity is None:
            return ClientContext([self.authority.root])
        return MutualContext(self.identity, [self.authority.root])

    def accepting(self, kind: LinkKind) -> AcceptingContext:
        assert self.identity is not None
        if kind is LinkKind.CLIENT:
            return ClientPortContext(self.identity)
        return MutualContext(self.identity, [self.authority.root])

    def listen(self, kind: LinkKind, host: str = "127.0.0.1", **rules: Any) -> Listener:
        listener = Listener(self.reactor, Spec(kind, host), self.accepting(kind), self.heard, **rules)
        self.listeners.append(listener)
        return listener

    def hop(self, name: str, listener: Listener) -> Hop:
        return Hop(name, listener.kind, (listener.address,))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for listener in self.listeners:
            listener.close()
        await self.connector.close()
        self.reactor.close()


def request(text: str = "hello", *, method: str = "MESSAGE") -> bytes:
    """Return one whole message with *text* as its body."""
    headers = [
        ("via", "SIP/2.0/TLS a.test;branch=z9hG4bK1"),
        ("from", "<sip:a@a.test>;tag=1"),
        ("to", "<sip:b@b.test>"),
        ("call-id", "1"),
        ("cseq", f"1 {method}"),
        ("max-forwards", "70"),
    ]
    return build_request(method, "sip:b@b.test", headers, text.encode(), "text/plain").encode()


def bodies(heard: Heard) -> list[str]:
    return [message.body.decode() for _, message in heard.messages]


class Peer:
    """A peer that is not our code: a blocking ``ssl`` socket; each call runs in a thread."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock

    @classmethod
    async def dial(
        cls, listener: Listener, authority: Authority | None, identity: Identity | None = None, name: str = "here.test"
    ) -> Peer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        if authority is None:
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(der_of(authority)))
        if identity is not None:
            context.load_cert_chain(identity.chain_path, identity.key_path)
        return cls(await asyncio.to_thread(cls._dial, listener.address, context, name))

    @staticmethod
    def _dial(address: tuple[str, int], context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
        plain = socket.create_connection(address, timeout=WITHIN_S)
        try:
            return context.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    async def send(self, data: bytes) -> None:
        await asyncio.to_thread(self.sock.sendall, data)

    async def receive(self, count: int = 65536) -> bytes:
        return await asyncio.to_thread(self.sock.recv, count)

    async def receive_exactly(self, count: int) -> bytes:
        return await asyncio.to_thread(self._receive_exactly, count)

    def _receive_exactly(self, count: int) -> bytes:
        got = bytearray()
        while len(got) < count:
            chunk = self.sock.recv(65_536)
            assert chunk, f"the link ended after {len(got)} of {count} bytes"
            got += chunk
        return bytes(got)

    async def ended(self) -> str:
        """Read until the link ends; return the name of the alert or error, or "" after close_notify."""
        try:
            while await self.receive():
                pass
        except ssl.SSLError as error:
            return error.reason or "EOF"
        except OSError as error:
            return type(error).__name__
        return ""

    def close(self) -> None:
        self.sock.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def der_of(authority: Authority) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return authority.root.public_bytes(Encoding.DER)


async def refused_dial(listener: Listener, authority: Authority | None, identity: Identity | None = None) -> str:
    """Dial as a peer that will be refused; return how the link ends: in the handshake, or at the first read."""
    try:
        peer = await Peer.dial(listener, authority, identity)
    except ssl.SSLError as error:
        return error.reason or "EOF"
    except OSError as error:
        return type(error).__name__
    async with peer:
        return await peer.ended()


async def s_client(listener: Listener, identity: Identity, *options: str, said: bytes = b"Q\n") -> str:
    """Return what OpenSSL's own client prints; it still supports protocols that Python's ssl does not."""
    return await s_client_at(listener.address, identity, *options, said=said)


async def s_client_at(address: tuple[str, int], identity: Identity, *options: str, said: bytes = b"Q\n") -> str:
    """The same, at the port of any server."""
    host, port = address
    ours = ("-cert", str(identity.chain_path), "-key", str(identity.key_path))
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", *ours, *options]
    done = await asyncio.to_thread(subprocess.run, command, input=said, capture_output=True, timeout=WITHIN_S)
    return (done.stdout + done.stderr).decode()


async def up(node: Node, peer_identity: Identity, kind: LinkKind) -> tuple[Link, Peer]:
    """Bring one accepted link up, and return both of its ends."""
    peer = await Peer.dial(node.listen(kind), node.authority, peer_identity)
    await node.heard.until(lambda: node.heard.up)
    return node.heard.up[-1], peer
