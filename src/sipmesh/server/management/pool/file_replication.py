"""The CA of a management pool is on each of its hosts: the leader seals each file to the other servers, by the shared database.

A file is sealed to the key in the certificate of a management server. That certificate must be in the ledger, signed by our
issuing CA for this server, valid and not revoked. The server must be a management server of the topology in force, and a person
must have admitted it with the key of this certificate (`server.management.admission`). So the database reads no key,
and an attacker who can write to it cannot have one sealed for another server. The sealed file is signed as a document
of management: the other server verifies signer and fencing number before it opens and writes the file.

The leader also renews the certificates of the other management servers, for the key that they have.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipmesh.database.number_ceilings import FILE_NUMBERS
from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.earlier import number_of
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.keys.sealing import NotSealedForUsError, seal, unseal
from sipmesh.pki.offline.request import DETACHED, ROOT_KEY
from sipmesh.server.management.admission import Admissions, key_digest, withdraw_left
from sipmesh.server.management.grantor import about, is_server_certificate
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.management.publishing.document_signing import sign_as
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.crl_store import CrlStore, is_portable
from sipmesh.server.replication.document_store import DocumentStore, signers_of
from sipmesh.server.replication.highest_number import HighestNumber
from sipmesh.server.replication.renewal import is_due
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_files import ManagementFiles, StoredFile
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed
from sipmesh.topology.view import certificate_names
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import issued_by
from sipmesh.typed_json import Base64, UnreadableJsonError, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.keys.algorithm import OwnKey
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView

KIND: Final = "sipmesh-management-file"
CERTIFICATE: Final = "certificate"
"""The name of the certificate chain of the receiving server; all other names are paths below ``ca``."""

SUFFIX: Final = ".files"
"""The end of the name of the file with the highest number that a server has received: an earlier file does not count again."""

GIVEN: Final = (".pem", ".key", ".crl", ".json")
LOOK_EVERY_S: Final = 10.0
"""Seconds after which the leader looks for new management servers and due certificates, also if no file has changed."""


class FileGiver:
    """The leader's side, in the folder of *view*."""

    def __init__(self, management_db: ManagementDb) -> None:
        self._management_db = management_db
        self._seen: object = None
        self.waiting: tuple[str, ...] = ()
        """The management servers that get nothing: they are not admitted, or their certificate does not count any more."""

    def give(self, view: ServerView) -> list[str]:
        """Seal what has changed for each other management server; returns what was given, as ``SERVER: FILE``.

        Blocks for the database. Raises `OperatorError`.
        """
        others = sorted(signers_of(view.loaded) - {view.name})
        if others:
            self._settle_admissions(view)
        else:
            self.waiting = ()
        held = _files_of(view.loaded.folder)
        fencing, signer = self._management_db.lease.fencing, _signer_of(view)
        now = (others, fencing, signer, sorted((name, sha256(content).digest()) for name, content in held.items()))
        looked = (now, int(time.monotonic() / LOOK_EVERY_S))
        if not others or looked == self._seen:
            return []
        found = {server: self._certificate_of(view, server) for server in others}
        self.waiting = tuple(server for server, certificate in found.items() if certificate is None)
        given = [
            f"{server}: {name}"
            for server, certificate in found.items()
            if certificate is not None
            for name in self._give(view, server, certificate, held, fencing, signer)
        ]
        self._forget_detached(view.name, held)
        self._seen = looked
        return given

    def _settle_admissions(self, view: ServerView) -> None:
        """Withdraw those of servers that have left, and admit this server itself: another leader seals the CA to it."""
        ca = view.loaded.folder / CA
        withdraw_left(ca, self._management_db.audit, view.loaded, view.name, now_utc())
        held, key = Admissions.read(ca), key_digest(read_certificates(view.certificate)[0])
        if held.keys.get(view.name) != key and key not in held.withdrawn:
            held.with_key(view.name, key).write(ca)

    def _forget_detached(self, server: str, held: Mapping[str, bytes]) -> None:
        """Remove the keys of detached roots that an earlier leader has sealed for this *server*."""
        stored = self._management_db.files
        if removed := [name for name in stored.digests(server) if _is_detached(name, held)]:
            stored.put(server, [], removed)

    def _give(
        self,
        view: ServerView,
        server: str,
        certificate: tuple[bytes, ec.EllipticCurvePublicKey],
        held: Mapping[str, bytes],
        fencing: int,
        signer: bytes,
    ) -> list[str]:
        chain, key = certificate
        stored = self._management_db.files
        number = max(_last_number(stored, now_utc()) + 1, time.time_ns() // 1000)  # also above rows that were removed
        before = stored.digests(server)
        changed: list[StoredFile] = []
        for name, content in {**held, CERTIFICATE: chain}.items():
            digest = _digest(fencing, signer, key, name, content)
            if before.get(name) != digest:
                at = number + len(changed)
                payload = _payload(server, name, at, content, key)
                changed.append(StoredFile(name, at, digest, sign_as(view, payload, KIND, now_utc(), fencing)))
        stored.put(server, changed, removed=[name for name in before if name not in held and name != CERTIFICATE])
        return [file.name for file in changed]

    def _certificate_of(self, view: ServerView, server: str) -> tuple[bytes, ec.EllipticCurvePublicKey] | None:
        """Return the chain in PEM and the key of another management server; None if it has no certificate that counts.

        That is one for the key with which it was admitted. A key of which a certificate was revoked does not count.
        """
        generations, at = CaGenerations(view.loaded.folder / CA), now_utc()
        admitted = Admissions.read(generations.folder).keys.get(server)
        if admitted is None:
            return None
        serials = [
            record.serial
            for record in generations.records()
            if record.kind == CertificateKind.SERVER and record.names[0] == server
        ]
        records = [record for _ca, record in generations.as_issued(serials).values()]  # others may have added rows
        leaves = ((record, x509.load_der_x509_certificate(record.der or b"")) for record in records)
        of_key = [(record, leaf) for record, leaf in leaves if key_digest(leaf) == admitted]
        if not of_key or any(record.revoked_at is not None for record, _leaf in of_key):
            return None
        leaf, ca = of_key[-1][1], generations.current
        key = leaf.public_key()
        is_valid = leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc
        if not is_valid or not is_server_certificate(leaf, server) or not generations.has_issued(leaf):
            return None
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return None
        if is_due(leaf, at) or not issued_by(leaf, ca.issuing):
            names = certificate_names(view.loaded.topology, server)
            leaf = ca.certify(names, Role.MANAGEMENT, key, at).certificate
            self._management_db.audit.append(view.name, AuditAct.ISSUE, about(server, leaf), at=at)
        return files.certificates_pem((leaf, *ca.presented)), key


class FileReceiver:
    """The side of a server that follows, in the folder of *documents*."""

    def __init__(self, management_db: ManagementDb, documents: DocumentStore) -> None:
        self._management_db, self._documents = management_db, documents
        self._number = HighestNumber(documents.folder, documents.name, SUFFIX)
        self._crls = CrlStore(documents.folder)

    def receive(self, in_force: Loaded, certificate: Path, key_file: Path) -> list[str]:
        """Write the files that the leader has sealed for this server since the last call; returns their names.

        *certificate* and *key_file* are those of this server. Blocks for the database. Raises `OperatorError`, and
        `RemoteError` for a file that does not come from the leader; the files before it are written.
        """
        rows = self._management_db.files.since(self._documents.name, self._number.value)
        written = self._receive_crls(rows, in_force, key_file)
        for row in rows:
            payload = self._documents.signed_by_management(row.document, KIND, in_force, now_utc())
            name, content = _opened(payload, self._documents.name, row.number, files.read_key(key_file))
            if why := FILE_NUMBERS.why_beyond(row.number, now_utc(), self._number.value):
                raise RemoteError(f"rejected: {why}", rule="rule R6", status=488)
            if self._write(name, content, certificate):
                written.append(name)
            self._number.raise_to(row.number)
        return written

    def _receive_crls(self, rows: Sequence[StoredFile], in_force: Loaded, key_file: Path) -> list[str]:
        """Write the CRLs that *in_force* names; returns their names.

        A CRL counts by the signature of its CA. The signature of the leader may need just this CRL, if the leader has a new root.
        """
        written = []
        for row in rows:
            with suppress(MalformedDocumentError, RemoteError, OperatorError):
                payload = open_signed(row.document, KIND).payload
                name, content = _opened(payload, self._documents.name, row.number, files.read_key(key_file))
                is_named = name.endswith(".crl") and name in in_force.list_names
                if is_named and self._crls.put(Item(ItemKind.LIST, content, name), in_force, now_utc()):
                    written.append(name)
        return written

    def forget_beyond(self) -> None:
        """Forget a number that no leader can have yet: an operator lets this server join the pool again."""
        if FILE_NUMBERS.why_beyond(self._number.value, now_utc()):
            self._number.forget()

    def _write(self, name: str, content: bytes, certificate: Path) -> bool:
        """Write one file; return False if it has this content already, or a newer CRL."""
        file = certificate if name == CERTIFICATE else self._documents.folder / name
        if name != CERTIFICATE and not _may_be_given(PurePosixPath(name)):
            raise RemoteError(f"a file with the name {name!r}", rule="rule R6", status=488)
        if file.suffix == ".crl" and _is_older_crl(content, file):
            return False
        if file.name == ROOT_KEY and file.with_name(DETACHED).exists():
            return False
        if file.name == DETACHED:
            file.with_name(ROOT_KEY).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            if file.read_bytes() == content:
                return False
        files.make_readable_folder(file.parent)
        files.write(file, content, files.SECRET if file.suffix == ".key" else files.PUBLIC)
        return True


def _is_older_crl(content: bytes, file: Path) -> bool:
    """Return whether *content* is a CRL with a lower number than that in *file*: it could take back a revocation."""
    try:
        new = x509.load_pem_x509_crl(content)
        old = x509.load_pem_x509_crl(file.read_bytes())
    except (OSError, ValueError):
        return False
    return new.issuer == old.issuer and number_of(new) < number_of(old)


def _last_number(stored: ManagementFiles, at: datetime) -> int:
    """Return the highest number of all rows; raises `OperatorError` if no leader can have used it at the time *at*."""
    remedy = f"remove the rows of management_files with a number over {FILE_NUMBERS.at(at)}"
    return FILE_NUMBERS.must_count(stored.last_number(), at, remedy=remedy)


def _files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of the CA that each management host must have, by their path below *folder*; the generations last."""
    found = {file.relative_to(folder).as_posix(): file for file in sorted((folder / CA).rglob("*")) if file.is_file()}
    names = [name for name in found if _may_be_given(PurePosixPath(name)) and not _is_detached(name, found)]
    return {name: found[name].read_bytes() for name in sorted(names, key=lambda name: (name.endswith(".json"), name))}


def _is_detached(name: str, found: Mapping[str, object]) -> bool:
    """Return whether *name* is the key of a root that an operator has moved offline: no host gets it any more."""
    path = PurePosixPath(name)
    return path.name == ROOT_KEY and path.with_name(DETACHED).as_posix() in found


def _may_be_given(path: PurePosixPath) -> bool:
    is_ours = path.parts[:1] == (CA,) and is_portable(str(path))
    return is_ours and path.suffix in GIVEN and not any(part.startswith(".") for part in path.parts)


@dataclass(frozen=True, slots=True)
class _SealedFile:
    """A file of the CA for one *server*, encrypted to its key."""

    server: str
    name: str
    number: int
    sealed: Base64


def _signer_of(view: ServerView) -> bytes:
    """Return the chain with which this server signs, b"" before it has one."""
    with suppress(FileNotFoundError):
        return view.signer[0].read_bytes()
    return b""


def _digest(fencing: int, signer: bytes, key: ec.EllipticCurvePublicKey, name: str, content: bytes) -> str:
    """Return what identifies a row: a new leader, chain of its signer, key and content each make a new one.

    A host that was off while the root was replaced does not trust the chain that the signer had before.
    """
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    parts = (str(fencing).encode(), signer, public, name.encode(), content)
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()


def _payload(server: str, name: str, number: int, content: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    sealed = seal(content, key, f"{server}\n{name}\n{number}")
    return json.dumps({"server": server, "name": name, "number": number, "sealed": b64encode(sealed).decode()}).encode()


def _opened(payload: bytes, server: str, number: int, key: OwnKey) -> tuple[str, bytes]:
    """Return name and content of a signed file; raises `RemoteError` if it is not for *server*, or has another number."""
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise OperatorError(f"the key of {server} is of ML-DSA-44, and files of the CA are sealed to keys of ECDSA")
    try:
        found = read_document(_SealedFile, payload)
        if (found.server, found.number) != (server, number):
            raise RemoteError(f"a file for {found.server}", rule="rule R6", status=488)
        return found.name, unseal(found.sealed, key, f"{server}\n{found.name}\n{number}")
    except (ValueError, UnreadableJsonError) as wrong:
        raise RemoteError(f"a file of the CA that cannot be read ({wrong})", rule="rule R6", status=488) from None
    except NotSealedForUsError:
        raise OperatorError(f"a file of the CA is sealed to another key than that of {server}") from None
