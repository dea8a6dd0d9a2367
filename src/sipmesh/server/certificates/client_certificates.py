"""The further certificates for clients, such as those of a public CA: each is checked before a client gets it.

A certificate whose check fails is not presented; if there was an earlier one in the same file, that one stays in use. The
server's own certificate is always there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from sipmesh.errors import OperatorError
from sipmesh.server.certificates.presented import same
from sipmesh.topology.expiry.validity import Chain, DatedItem
from sipmesh.transport.tls.certificate_choice import holds, names_of, shares_a_name
from sipmesh.transport.tls.contexts import ClientPortContext, Identity
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.x509.certificate import UNREADABLE, extension, is_authority, issued_by, weakness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.topology.document.parts.server import ClientPort
    from sipmesh.topology.expiry.validity import RenewalFault
    from sipmesh.topology.server_files import ClientFiles
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """One pair of files: what clients get, None if nothing; *fault* says why the present content is not used.

    *port* is the port that presents it, None for both. *renewal* says why it is not renewed by ACME.
    """

    file: Path
    identity: Identity | None = None
    fault: str = ""
    port: ClientPort | None = None
    renewal: RenewalFault | None = None

    @property
    def chain(self) -> Chain:
        """The chain with its expiry dates, for the inventory."""
        certificates = self.identity.chain if self.identity is not None else ()
        return Chain(str(self.file), tuple(map(DatedItem.of_certificate, certificates)), self.fault, self.renewal)


@dataclass(frozen=True, slots=True)
class ClientCertificates:
    """All further certificates for the clients of one server, in the order of the topology. Immutable."""

    certificates: Mapping[Path, ClientCertificate] = field(default_factory=dict)

    @property
    def identities(self) -> tuple[Identity, ...]:
        """What clients get."""
        return tuple(one.identity for one in self.certificates.values() if one.identity is not None)

    def at(self, port: str) -> tuple[Identity, ...]:
        """Return what clients get at *port*, in the order of the topology."""
        here = (one for one in self.certificates.values() if one.port in (None, port))
        return tuple(one.identity for one in here if one.identity is not None)

    @property
    def names(self) -> frozenset[str]:
        """All names that clients find in them."""
        return frozenset[str]().union(*(names_of(identity.leaf) for identity in self.identities))

    @property
    def chains(self) -> tuple[Chain, ...]:
        """Their chains, for the inventory."""
        return tuple(one.chain for one in self.certificates.values())

    @property
    def faults(self) -> Iterator[ClientCertificate]:
        """The certificates whose present content is not used."""
        return (one for one in self.certificates.values() if one.fault)

    def renewed(self, file: Path, fault: RenewalFault | None) -> ClientCertificates:
        """Return the same with what has come of the last renewal of *file*: *fault* is None if it went well."""
        one = self.certificates.get(file)
        if one is None:
            return self
        return ClientCertificates({**self.certificates, file: replace(one, renewal=fault)})

    def after(self, view: ServerView, at: datetime) -> ClientCertificates:
        """Return what to present under *view* at the instant *at*."""
        return ClientCertificates(
            {files.certificate: self._next(files, view, at) for files in view.client_certificates}
        )

    def _next(self, files: ClientFiles, view: ServerView, at: datetime) -> ClientCertificate:
        file = files.certificate
        before = replace(self.certificates.get(file, ClientCertificate(file)), port=files.port)
        if view.acme_order is not None and not file.exists():
            return before  # not issued yet
        try:
            found = Identity.load(file, files.key, files.names)
        except OperatorError as wrong:
            return replace(before, fault="; ".join(f"{problem.file}: {problem.reason}" for problem in wrong.problems))
        fault = why_not_for_clients(found, view.names, at)
        if fault:
            return replace(before, fault=fault)
        if before.identity is not None and found.only == before.identity.only and same(found, before.identity):
            return replace(before, fault="")
        return replace(before, identity=found, fault="")


def why_not_for_clients(identity: Identity, names: Sequence[str], at: datetime) -> str:
    """Return why clients would refuse *identity*, for a server with these *names*; empty if they would not.

    Its CA is not judged: clients know it, and the server need not.
    """
    return next((f"{identity.chain_path.name}: {fault}" for fault in _faults(identity, names, at)), "")


def _faults(identity: Identity, names: Sequence[str], at: datetime) -> Iterator[str]:
    leaf = identity.leaf
    if not shares_a_name(names_of(leaf), frozenset(names)):
        yield f"it holds none of the names of this server ({', '.join(names)})"
    if lacking := sorted(name for name in identity.only if not holds(names_of(leaf), name)):
        yield f"it does not hold {', '.join(lacking)}, which `names` has"
    for certificate in identity.chain:
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            begins, ends = map(tell_time, (certificate.not_valid_before_utc, certificate.not_valid_after_utc))
            yield f"{certificate.subject.rfc4514_string()} is valid only from {begins} to {ends}"
    try:
        yield from _faults_of_leaf(leaf)
    except UNREADABLE as wrong:
        yield f"an extension cannot be read ({wrong})"
    for certificate, issuer in zip(identity.chain, identity.chain[1:], strict=False):
        if not issued_by(certificate, issuer):
            yield "the file is no chain: each certificate must be issued by the next, and the leaf is the first"
    try:
        ClientPortContext(identity)
    except SSL.Error as wrong:
        yield f"OpenSSL refuses it ({wrong})"


def _faults_of_leaf(leaf: x509.Certificate) -> Iterator[str]:
    if is_authority(leaf):
        yield "it is the certificate of a CA"
    usages = extension(leaf, x509.ExtendedKeyUsage)
    if usages is not None and not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & {
        *usages
    }:
        yield "its usage is not serverAuth"
    if weak := weakness(leaf):
        yield f"it has {weak}"
