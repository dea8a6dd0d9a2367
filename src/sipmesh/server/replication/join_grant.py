"""A grant: what management gives a new server in one file, and how the new server checks it (`sipmesh join`).

A person carries the file, and could change it. So the operator confirms every anchor by its fingerprint, and everything else is
checked under these anchors: the signer of the topology, and the server's own certificate. Their revocation is checked with the
CRLs of the grant. Only files that the topology names are written.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.foreign_errors import reason_of
from sipmesh.pki import files
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.crl_store import CrlStore
from sipmesh.server.replication.document_store import DocumentStore, signers_of
from sipmesh.topology.document.names import fqdn
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import KIND, Publication
from sipmesh.topology.view import certificate_names
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.authority import Authority
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.document_signer import judge_signer
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.trusted_peer import TrustedPeer
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.x509.certificate import UNREADABLE, fingerprint
from sipmesh.typed_json import Base64, UnreadableJsonError, read_document

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime
    from pathlib import Path

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.versions.jose import Signed

FORMAT = 1
AGAIN = "get a new grant: sipmesh join grant"


@dataclass(frozen=True, slots=True)
class _GrantFile:
    """The content of a file; certificates are in PEM."""

    server: str
    publication: str
    anchors: list[str]
    certificate: str
    lists: dict[str, Base64]
    proof: tuple[Base64, ...] = ()


@dataclass(frozen=True, slots=True)
class JoinGrant:
    """One grant: *proof* are the CRLs of our CAs when it was made, *lists* are the CRLs that the topology names."""

    server: str
    publication: bytes
    anchors: tuple[x509.Certificate, ...]
    chain: tuple[x509.Certificate, ...]
    lists: dict[str, bytes]
    proof: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, content: bytes, file: Path) -> Self:
        """Read what `encode` wrote; raises `OperatorError` for anything else."""
        try:
            found = read_document(_GrantFile, content)
            chain, *anchors = (
                x509.load_pem_x509_certificates(pem.encode()) for pem in (found.certificate, *found.anchors)
            )
            return cls(
                server=fqdn(found.server),
                publication=found.publication.encode(),
                anchors=tuple(anchor for pem in anchors for anchor in pem),
                chain=tuple(chain),
                lists=found.lists,
                proof=found.proof,
            )
        except (ValueError, UnreadableJsonError, *UNREADABLE) as wrong:
            raise OperatorError(f"{file} is not a file of `sipmesh join grant` ({reason_of(wrong)})") from None

    def encode(self) -> bytes:
        """Write it as JSON."""
        document: dict[str, object] = {
            "format": FORMAT,
            "server": self.server,
            "publication": self.publication.decode(),
            "anchors": [anchor.public_bytes(Encoding.PEM).decode() for anchor in self.anchors],
            "certificate": self.pem.decode(),
            "lists": {name: base64.b64encode(content).decode() for name, content in self.lists.items()},
            "proof": [base64.b64encode(content).decode() for content in self.proof],
        }
        return json.dumps(document).encode()

    @property
    def pem(self) -> bytes:
        """The server's certificate with its issuers, in PEM."""
        return files.certificates_pem(self.chain)

    def judged(self, confirmed: Collection[str], folder: Path, at: datetime) -> JudgedGrant:
        """Check the grant at time *at*, for a server in *folder*; *confirmed* are the fingerprints that the operator compared.

        Raises `OperatorError` for an anchor that was not confirmed, and for a signer or a certificate that is not trusted.
        """
        self._must_be_confirmed(self.anchors, confirmed)
        signed, publication = self._opened()
        authority = Authority(publication.organisation, self.anchors, self._evidence())
        loaded = load_published(publication, folder)
        self._must_be_confirmed(loaded.authority.anchors, confirmed)
        must_be_signed_by_management(signed, loaded, authority, at)
        self._must_be_a_certificate_of(loaded, authority, at)
        return JudgedGrant(self, publication.number)

    @staticmethod
    def _must_be_confirmed(anchors: Iterable[x509.Certificate], confirmed: Collection[str]) -> None:
        """Every anchor that is trusted from now on is one whose fingerprint was compared; more than those is too many."""
        unknown = [fingerprint(anchor) for anchor in anchors if fingerprint(anchor) not in confirmed]
        if unknown:
            raise OperatorError(
                f"the grant names a root that you have not confirmed: {', '.join(unknown)}. The grant was not accepted. If "
                "`join grant` shows this root also, give --fingerprint for each root"
            )

    def _opened(self) -> tuple[Signed, Publication]:
        try:
            signed = open_signed(self.publication, KIND)
            return signed, Publication.decode(signed.payload)
        except MalformedDocumentError as wrong:
            raise OperatorError(f"the topology in this grant does not match its signature ({wrong}); {AGAIN}") from None

    def _evidence(self) -> RevocationLists:
        """Return the CRLs of the grant, with the reasons why others cannot be used."""
        found, faults = [], []
        for content in dict.fromkeys((*self.proof, *self.lists.values())):
            try:
                found.append(RevocationList.load(content))
            except UnusableListError as wrong:
                faults.append(str(wrong))
        return RevocationLists(found, tuple(faults))

    def _must_be_a_certificate_of(self, loaded: Loaded, authority: Authority, at: datetime) -> None:
        """Judge the server's own certificate as another server would; raises `OperatorError` if it is refused."""
        pool = loaded.topology.pool_of(self.server)
        if pool is None:
            raise OperatorError(f"{self.server} is not in the topology of this grant; {AGAIN}")
        names = frozenset(certificate_names(loaded.topology, self.server))
        entry = TrustedPeer(self.server, pool.role, pool.name, names, frozenset({self.server}), frozenset(), authority)
        policy = LinkPolicy(LinkKind.SERVER, "this grant", frozenset({self.server}), TrustedPeers((entry,)))
        evidence = PeerEvidence(
            direction=Direction.ACCEPTED,
            kind=LinkKind.SERVER,
            remote=(self.server, 0),
            local=("", 0),
            presented=tuple(certificate.public_bytes(Encoding.DER) for certificate in self.chain),
            engine_errors=path_errors(self.chain, self.anchors, at),
        )
        verdict = judge(evidence, policy, at=at)
        if not verdict.accepted:
            wrong = "; ".join(
                f"{finding.check} wanted {finding.wanted}; saw {finding.saw}" for finding in verdict.failed
            )
            raise OperatorError(f"the certificate in this grant is rejected: {verdict.code}: {wrong}; {AGAIN}")


def must_be_signed_by_management(signed: Signed, loaded: Loaded, authority: Authority, at: datetime) -> None:
    """Judge the signer of a topology that is granted, or accepted for the first time, with its revocation.

    Raises `OperatorError`, which says how to publish a version with a trusted signer.
    """
    errors = path_errors(signed.chain, authority.anchors, at)
    belief = judge_signer(signed.presented, authority, signers_of(loaded), at=at, engine_errors=errors)
    if not belief.is_trusted:
        raise OperatorError(
            f"the signer of the topology is rejected: {belief.code}: {'; '.join(belief.reasons)}; publish again on the "
            f"management server (sipmesh topology publish -m WHY), then {AGAIN}"
        )


@dataclass(frozen=True, slots=True)
class JudgedGrant:
    """A grant that was accepted, and the *number* of its version."""

    grant: JoinGrant
    number: int

    def hold(self, folder: Path, *, runs: bool) -> Loaded:
        """Store the topology of the grant below *folder*, unless a stored topology is intact, and newer or in use.

        A server that *runs* gets newer versions from management. A topology with a number that management cannot reach is
        replaced, as no other can follow it. Raises `OperatorError`.
        """
        documents, beyond = DocumentStore(folder, self.grant.server), ""
        if documents.is_there:
            with suppress(OperatorError):
                loaded, beyond = documents.load(), documents.why_beyond(now_utc())
                if not beyond and (runs or loaded.number >= self.number):
                    return loaded
        if beyond and runs:
            raise OperatorError(
                f"{self.grant.server} has a number that nothing can follow: {beyond}; stop it, and accept again"
            )
        documents.begin(self.grant.publication, list(self.grant.anchors))
        return documents.load()

    def put_lists(self, folder: Path, loaded: Loaded, at: datetime) -> list[RemoteError]:
        """Write the CRLs that the topology names, unless the stored one is newer; return the reasons for those left out."""
        crls, refused = CrlStore(folder), []
        for name, content in self.grant.lists.items():
            if name not in loaded.list_names:
                continue
            try:
                crls.put(Item(ItemKind.LIST, content, name), loaded, at)
            except RemoteError as wrong:
                refused.append(wrong)
        return refused

    def put_certificate(self, folder: Path, loaded: Loaded) -> None:
        """Write the certificate to its file in the topology; raises `OperatorError` if that file is outside of *folder*."""
        name = next(
            server.certificate_file
            for pool in loaded.topology.pools
            for server in pool.servers
            if server.name == self.grant.server
        )
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise OperatorError(
                f"the topology names {name} for the certificate, which is outside of {folder}: sipmesh does not write there"
            )
        file = folder / name
        files.make_readable_folder(file.parent)
        files.write(file, self.grant.pem)
