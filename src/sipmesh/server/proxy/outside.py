"""What works with the parts of a running server from outside: its links, its control plane, what fetches its CRLs, its workers.

Each of them is built from these parts, and so after them. The server has one `Outside` from its start. Until a part is
put there, a part that does nothing is in its place: no part asks whether another one exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import LocalError
from sipmesh.server.proxy.control_plane import ControlPlane

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from sipmesh.server.control_socket import Command
    from sipmesh.storage.users.user_document import UserDocument
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.expiry.fetch_status import FetchStatus
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.policy import LinkPolicy
    from sipmesh.trust.verdict import Verdict
    from sipmesh.trust.x509.certificate import CertificateId


class Links(Protocol):
    """Finds and opens links to servers and partners (`transport.pool.LinkPool`)."""

    def obtain(self, hop: Hop) -> Link:
        """Return a link to the identity that *hop* means; dial one if there is none."""

    def obtain_past(self, hop: Hop, past: Link) -> Link:
        """Return a link to the same identity at another address than that of the link *past*."""

    def has(self, hop: Hop) -> bool:
        """Tell whether `obtain` would find a link without dialling."""

    def dial(self, hop: Hop) -> Link:
        """Open a link, also if there are others."""

    def try_out(self, hop: Hop) -> Link:
        """Open a link to a server that does not answer."""

    def all(self) -> list[Link]:
        """List every link that is being opened or is up."""


class Ports:
    """The listening sockets of a server of several processes; a server of one process opens its ports itself."""

    def socket_for(self, spec: ListenerSpec) -> socket.socket | None:  # noqa: ARG002 - no port was opened before
        """Return the socket of this process that listens as *spec* says; raises `OperatorError` if there is none.

        None: the process opens its port itself.
        """
        return None


class RevocationSources:
    """What fetches the CRLs and OCSP responses that a topology names by URL; without one, nothing is fetched."""

    def follow(self, loaded: Loaded) -> None:
        """Fetch the sources of *loaded*, which is about to be in force, and no others."""

    def supplies(self, at: datetime) -> tuple[FetchStatus, ...]:  # noqa: ARG002 - there is no source
        """Return the state of every source at time *at*."""
        return ()

    def judged(self, evidence: PeerEvidence, policy: LinkPolicy, verdict: Verdict) -> None:
        """A server or a partner was judged by *policy*: the status of its certificates may have to be asked."""

    def fetch_crls(self, request: bytes) -> None:
        """Fetch the CRLs that another process of this server needs for a peer that it has judged."""

    def present(self, chains: Sequence[Sequence[x509.Certificate]]) -> None:
        """Fetch the OCSP responses about the certificates that this server presents; *chains* have them first."""


class Channel(Protocol):
    """The way to another process of this server (`siblings.channel.WorkerChannel`)."""

    number: int

    def send(self, kind: int, number: int, payload: bytes) -> None:
        """Send a frame."""


class OrderTaker:
    """The receiver of the supervisor's commands, and of the replies to ours."""

    def take(self, channel: Channel, kind: int, number: int, payload: bytes) -> None:
        """A command or a reply has come."""

    def ended(self, process: int) -> None:
        """A process has ended."""


class Follower:
    """Who puts the same in force at the other processes of this server, if there are any that follow this one."""

    @property
    def is_settled(self) -> bool:
        """Whether every other process has in force what this one has."""
        return True

    def version_changed(self) -> None:
        """Another version of the topology is in force, with its certificates."""

    def crls_changed(self, files: Collection[Path]) -> None:
        """CRLs in *files* are in force."""

    def revoked(self, named: Collection[CertificateId]) -> None:
        """Certificates are refused from now on."""

    def users_changed(self, document: UserDocument) -> None:
        """A document of users is in force."""


class NoLinks:
    """Has no links: none was built yet."""

    def obtain(self, hop: Hop) -> Link:
        """Raise `LocalError`: no part may send before the links are built."""
        raise LocalError(f"no pool of links to reach {hop.name} with")

    def obtain_past(self, hop: Hop, past: Link) -> Link:  # noqa: ARG002 - it has no link at all
        """Raise `LocalError`."""
        return self.obtain(hop)

    dial = try_out = obtain

    def has(self, hop: Hop) -> bool:  # noqa: ARG002 - it has no link at all
        """Return False."""
        return False

    def all(self) -> list[Link]:
        """Return nothing."""
        return []


class Outside:
    """What works with one server from outside. Its builder puts each part here, before the server starts."""

    def __init__(self) -> None:
        self.control_plane = ControlPlane()
        self.sources = RevocationSources()
        self.follower = Follower()
        self.orders = OrderTaker()
        self.links: Links = NoLinks()
        self.ports = Ports()
        self.tracing: Command | None = None  # traces at all processes of this server
        self.ending: Command | None = None  # ends a call at whichever of them has it
