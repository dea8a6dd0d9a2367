"""The interface between a server and its end of the control plane, in a network with management."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.x509.certificate import CertificateId


class ControlPlane:
    """This server's end of the control plane: the controller on the management server, the agent on a managed server.

    It receives the links between servers of ours, the requests about the network itself, and new CRLs. This one is that of a
    server in a network without management: it serves nothing.
    """

    def begin(self) -> None:
        """Open links to the other servers, now that this server listens."""

    def close(self) -> None:
        """Stop opening links."""

    def tick(self) -> None:
        """Do what is due; called about twice a second."""

    def link_up(self, link: Link) -> None:
        """A link between our servers is up."""

    def link_down(self, link: Link, why: str) -> None:
        """A link between our servers has ended, or never came up."""

    def requested(self, link: Link, peer: TrustedPeer, request: Request) -> bool:  # noqa: ARG002 - it serves no request
        """Serve *request* if it is of our event package; return False if it is not."""
        return False

    def responded(self, link: Link, response: Response) -> None:
        """Take a response that belongs to no branch of the proxy."""

    def crls_changed(self, revoked: frozenset[CertificateId]) -> None:
        """New CRLs are in force on this server; *revoked* are the certificates that they revoke additionally."""

    def certificate_changed(self) -> None:
        """This server presents another certificate, or could not take a new certificate into use."""

    @property
    def newest(self) -> int:
        """The highest version of the topology that is known to exist; 0 if none is published."""
        return 0

    @property
    def unheard_s(self) -> float | None:
        """Seconds since the last answer from management; None for a server that expects none."""
        return None

    @property
    def is_managed(self) -> bool:
        """Whether the next version comes from management."""
        return False
