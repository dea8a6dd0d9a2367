"""Which management servers get the CA: those that a person on the host of the leader has admitted, each by its key.

The topology alone admits no server: a server that changes its role has a certificate already, and its key may be known to others.
A certificate counts if it was issued for a server of the management pool, and its key has no other use. Its names say so: those
of a front end or edge have our SIP domains, and those of an application its pool.

The admissions are a file of the CA. So the leader seals them to the servers that it names, and each can lead.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.server.management.grantor import is_server_certificate
from sipmesh.server.replication.document_store import signers_of
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.view import certificate_names
from sipmesh.trust.x509.certificate import extension, fingerprint
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.ledger.records import Record
    from sipmesh.storage.audit import Audit
    from sipmesh.storage.audit_act import Note
    from sipmesh.topology.document.load import Loaded

FILE: Final = "admitted.json"


@dataclass(frozen=True, slots=True)
class Admissions:
    """The admitted servers, each with the SHA-256 of its public key in hex; keys in *withdrawn* are never admitted again."""

    keys: dict[str, str]
    withdrawn: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> Admissions:
        """Read the file in the CA's *folder*; without one no server is admitted. Raises `OperatorError` for a damaged file."""
        file = folder / FILE
        try:
            return read_document(cls, file.read_bytes())
        except FileNotFoundError:
            return cls({}, frozenset())
        except (OSError, UnreadableJsonError) as wrong:
            remedy = "remove the file, and admit each management server again: sipmesh ca admit NAME --certificate HEX"
            problem = Problem(file, 0, "", f"cannot be read ({wrong})", remedy)
            raise OperatorError("the admissions of management servers are damaged", (problem,)) from None

    def write(self, folder: Path) -> None:
        """Write the file in the CA's *folder*."""
        content = {"keys": dict(sorted(self.keys.items())), "withdrawn": sorted(self.withdrawn)}
        files.write(folder / FILE, (json.dumps(content, indent=1) + "\n").encode())

    def with_key(self, server: str, key: str) -> Admissions:
        """Return the same with *server* admitted by that key."""
        return replace(self, keys={**self.keys, server: key})

    def without(self, servers: Collection[str]) -> Admissions:
        """Return the same without *servers*; their keys never count again."""
        gone = {key for server, key in self.keys.items() if server in servers}
        return Admissions({name: key for name, key in self.keys.items() if name not in servers}, self.withdrawn | gone)


def key_digest(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the public key in a certificate, in hex."""
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(public).hexdigest()


def admit(
    in_force: Loaded, generations: CaGenerations, server: str, digest: str, at: datetime, *, note: Note
) -> x509.Certificate:
    """Admit *server* by the certificate whose SHA-256 is *digest*, and note it; returns the certificate.

    Raises `OperatorError`, and admits nothing, if *server* is no management server of the version in force, if its certificate
    does not count at *at*, or if the key has another use.
    """
    if server not in signers_of(in_force):
        raise OperatorError(f"{server} is no management server in version {in_force.number}; publish that first")
    records = generations.records()
    leaf = _issued(generations, records, server, digest, at)
    held, key = Admissions.read(generations.folder), key_digest(leaf)
    names = set(certificate_names(in_force.topology, server))
    again = f"let it join again with a new key: sipmesh join request {server}"
    if _names_in(leaf) != names:
        listed = ", ".join(sorted(_names_in(leaf)))
        raise OperatorError(
            f"{server} is not admitted: this certificate was issued for another role ({listed}); {again}"
        )
    if key in held.withdrawn or any(
        _names_in(other) != names for other in _certificates(records) if key_digest(other) == key
    ):
        raise OperatorError(f"{server} is not admitted: its key was in use for another role; {again}")
    note(AuditAct.ADMIT, server=server, certificate=digest)  # first: what is not in the audit log gets no key
    held.with_key(server, key).write(generations.folder)
    return leaf


def _issued(
    generations: CaGenerations, records: Collection[Record], server: str, digest: str, at: datetime
) -> x509.Certificate:
    """Return the certificate with a digest; raises `OperatorError` unless our CA has issued it for *server*, and it is valid."""
    for leaf in _certificates(records):
        if fingerprint(leaf) != digest or not is_server_certificate(leaf, server):
            continue
        if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc or not generations.has_issued(leaf):
            raise OperatorError(f"{server} is not admitted: this certificate has expired or was revoked")
        return leaf
    raise OperatorError(
        f"our CA has issued no certificate with the SHA-256 {digest} for {server}; compare it on the host of {server}: "
        f"openssl x509 -noout -fingerprint -sha256 -in servers/{server}.pem"
    )


def _certificates(records: Collection[Record]) -> list[x509.Certificate]:
    return [x509.load_der_x509_certificate(record.der) for record in records if record.der is not None]


def _names_in(leaf: x509.Certificate) -> set[str]:
    """Return the names in a certificate, without the scheme of SIP URIs."""
    names = extension(leaf, x509.SubjectAlternativeName)
    return {ascii_lower(str(name.value)).removeprefix("sip:") for name in names or ()}


def withdraw_left(ca: Path, audit: Audit, loaded: Loaded, who: str, at: datetime) -> None:
    """Withdraw the admission of each server that is no management server of *loaded*, with a line in the audit log.

    *ca* is the folder of the CA.
    """
    held = Admissions.read(ca)
    left = held.keys.keys() - signers_of(loaded)
    if not left:
        return
    held.without(left).write(ca)
    for server in sorted(left):
        audit.append(who, AuditAct.ADMIT, {"server": server, "withdrawn": "it is no management server any more"}, at=at)
