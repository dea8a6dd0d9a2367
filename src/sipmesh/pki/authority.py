"""The enterprise CA of one organisation. It issues and revokes certificates, and publishes CRLs, from one folder.

The folder contains ``root.pem``, ``root.key``, ``root.crl``, the same three files of ``issuing``, and ``ledger.db``. Several
processes may use it at the same time. Each certificate takes the same steps: draft, lint, journal, signature, lint of the
result. After a crash at any step, the CA opens again, and its ledger has every certificate that it may have signed.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from sipmesh.database.shared import SharedDatabase
from sipmesh.errors import LocalError, OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.certificate_facts import why_record_differs
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.crl.updater import CA_KINDS, CrlUpdater, publish_crl
from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.issue import issue_certificate
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.key_pair import write_pair
from sipmesh.pki.ledger import (
    FILE,
    Ledger,
    LedgerRefusedError,
    Record,
    UnrecordedRevocationError,
    can_be_listed,
    organisation_of,
)
from sipmesh.pki.lock import ca_lock
from sipmesh.pki.offline.cross_certificate import CROSS, CROSS_OVER, cross_wish
from sipmesh.pki.offline.root import OfflineRoot
from sipmesh.pki.status import CaStatus, CertificateStatus
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import issued_by

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from sipmesh.pki.issuance.profiles import LeafKey

NOTHING_LOST: Final = MappingProxyType[int, str]({})


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """A new certificate with its key. It is not in a file yet."""

    certificate: x509.Certificate
    chain: bytes  # PEM: the leaf, then the issuing CA
    key: bytes  # PEM, PKCS #8, encrypted where a passphrase is configured

    def write(self, certificate_file: Path, key_file: Path) -> None:
        """Write certificate chain and key into files, the key first and with mode 0600."""
        for file in (certificate_file, key_file):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_pair(certificate_file, self.chain, key_file, self.key)

    def __repr__(self) -> str:
        return f"<Issued {self.certificate.subject.rfc4514_string()} {self.certificate.serial_number:x}>"


@dataclass(frozen=True, slots=True)
class Certified:
    """A new certificate for a key on another machine. *chain* is PEM: the leaf, then the issuing CA."""

    certificate: x509.Certificate
    chain: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Operator:
    """A new certificate of an operator with its key and its issuers, nearest first. Nothing is in a file yet."""

    certificate: x509.Certificate
    issuers: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey

    def pkcs12(self, name: str, passphrase: str) -> bytes:
        """Return all of it for a browser, encrypted with *passphrase* (RFC 7292, with PBES2 and AES-256)."""
        sealed = BestAvailableEncryption(passphrase.encode())
        return serialize_key_and_certificates(name.encode(), self.key, self.certificate, self.issuers, sealed)

    def __repr__(self) -> str:
        return f"<Operator {self.certificate.subject.rfc4514_string()} {self.certificate.serial_number:x}>"


class EnterpriseCa:
    """The root and the issuing CA of one organisation. It issues and revokes certificates.

    *crls* publishes its CRLs. *offline_root* requests signatures from a root whose key is kept elsewhere. Instants are
    timezone-aware, and are always arguments.
    """

    def __init__(self, folder: Path, ledger: Ledger, certificates: dict[CertificateKind, x509.Certificate]) -> None:
        self.folder, self._ledger, self._certificates = folder, ledger, certificates
        self._facts = ledger.facts()
        self.crls = CrlUpdater(folder, ledger, certificates)
        self.offline_root = OfflineRoot(self, ledger)

    def __repr__(self) -> str:
        return f"<EnterpriseCa {self.organisation} in {self.folder}>"

    @classmethod
    def create(
        cls,
        folder: Path,
        organisation: str,
        at: datetime,
        *,
        crl_base: str,
        curve: ec.EllipticCurve | None = None,
        generation: int = 1,
    ) -> EnterpriseCa:
        """Make root, issuing CA and their first CRLs. The folder appears only when all of them are complete.

        Args:
            folder: Must not exist, or be empty.
            organisation: The O of every certificate, 1 to 64 characters.
            at: Now, timezone-aware.
            crl_base: The URL below which the CRLs are published, such as ``http://crl.example.com``.
            curve: The curve of the two CA keys; P-256 by default.
            generation: 2 for the CA that follows the first one, and so on (`sipmesh.pki.ca_rotation`).

        Raises:
            OperatorError: There is a file or a CA in the folder.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            problem = Problem(folder, 0, "", "is there already", "name another folder, or use the CA in this folder")
            raise OperatorError("sipmesh does not overwrite a CA", (problem,))
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _build(beside, organisation, crl_base.rstrip("/"), at, curve or ec.SECP256R1(), generation)
            Ledger.share(beside, folder)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        files.sync_folder(folder.parent)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> EnterpriseCa:
        """Open the CA in *folder*; raises OperatorError with everything that is missing.

        The root's key may be kept elsewhere. It is read only when the root has to sign.
        """
        problems: list[Problem] = []
        certificates = {kind: found for kind in CA_KINDS if (found := _read(folder / f"{kind}.pem", problems))}
        is_shared = SharedDatabase.find(organisation_of(folder)) is not None
        others = (*(() if is_shared else (folder / FILE,)), folder / f"{CertificateKind.ISSUING}.key")
        missing = (file for file in others if not file.is_file())
        problems += (Problem(file, 0, "", "is missing", "restore it from your backup") for file in missing)
        if problems:
            raise OperatorError(f"the CA in {folder} is incomplete", tuple(problems))
        return cls(folder, Ledger.of(folder), certificates)

    @property
    def organisation(self) -> str:
        """The name of the organisation."""
        return self._facts["organisation"]

    @property
    def root(self) -> x509.Certificate:
        """The root certificate, which every server and client of the organisation trusts."""
        return self._certificates[CertificateKind.ROOT]

    @property
    def issuing(self) -> x509.Certificate:
        """The certificate of the CA that issues server certificates."""
        return self._certificates[CertificateKind.ISSUING]

    @property
    def is_crossed(self) -> bool:
        """Whether servers present the cross-certificate. Another host of a management pool has the file after the switch too."""
        return (self.folder / CROSS).exists() and not (self.folder / CROSS_OVER).exists()

    @property
    def shown(self) -> x509.Certificate:
        """The CA certificate in the chains of servers: the cross-certificate until the switch, else `issuing`."""
        return x509.load_pem_x509_certificate((self.folder / CROSS).read_bytes()) if self.is_crossed else self.issuing

    @property
    def crl_base(self) -> str:
        """The URL below which the CRLs are published."""
        return self._facts["crl_base"]

    def cross_certify(self, other: EnterpriseCa, at: datetime) -> bytes:
        """Sign a cross-certificate for the issuing CA of the next generation with our root; returns PEM.

        Clients that trust only our root can then verify it. It expires with the first of our root and that issuing CA. Raises
        `OperatorError` if the root's key is not here.
        """
        with ca_lock(self.folder):
            signer = CaSigner(CertificateKind.ROOT, self.folder / "root.key", self.root)
            return _pem(issue_certificate(cross_wish(self, other), signer, (self.root,), self._ledger, at))

    @property
    def certificates(self) -> tuple[Record, ...]:
        """All certificates in the ledger, oldest first, without rows that were changed: `changed_rows` gives these.

        Others may be able to write to the ledger. A row that was changed must stop no other certificate.
        """
        return tuple(record for record in self._ledger.records() if not why_record_differs(record))

    def changed_rows(self) -> tuple[Problem, ...]:
        """Return a problem for each row of the ledger that cannot be read, or differs from its certificate."""
        differing = ((record, why) for record in self._ledger.records() if (why := why_record_differs(record)))
        return (*self._ledger.unreadable_rows(), *(self._changed(record, why) for record, why in differing))

    def _changed(self, record: Record, why: str) -> Problem:
        return self._ledger.changed_row(f"the certificate {record.serial_hex} {why}")

    def issue(
        self,
        names: Sequence[str],
        role: Role,
        at: datetime,
        lifetime: timedelta = profiles.LEAF_LIFETIME,
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> Issued:
        """Issue a certificate for one server and its *key*, a new one by default.

        *names* are from the topology (`sipmesh.topology.view.certificate_names`), the server's own name first. Raises
        LintRefusedError if the profile does not allow the certificate. Then nothing was signed.
        """
        if not isinstance(role, Role):
            raise LocalError(f"{role!r} is not a role")
        return self._issue(CertificateKind.SERVER, names, at, lifetime, key)

    def issue_for_clients(
        self,
        names: Sequence[str],
        at: datetime,
        lifetime: timedelta = profiles.LEAF_LIFETIME,
        *,
        rsa: bool,
        addresses: Sequence[str] = (),
    ) -> Issued:
        """Issue a certificate and a key that a front end presents to clients only, beside its own.

        *rsa* makes an RSA key, for phones that support no other. *addresses* are IP addresses, for phones that are given one.
        Raises LintRefusedError as `issue` does.
        """
        key = files.new_rsa_key() if rsa else files.new_key()
        return self._issue(CertificateKind.SERVER, names, at, lifetime, key, addresses)

    def certify(
        self,
        names: Sequence[str],
        role: Role,
        key: ec.EllipticCurvePublicKey,
        at: datetime,
        lifetime: timedelta = profiles.LEAF_LIFETIME,
    ) -> Certified:
        """Issue a certificate for a *key* on another machine, after its owner has proved it (`sipmesh.pki.csr`)."""
        if not isinstance(role, Role):
            raise LocalError(f"{role!r} is not a role")
        made = self._certify(CertificateKind.SERVER, names, key, at, lifetime)
        return Certified(made, _pem(made) + _pem(self.shown))

    def issue_signer(
        self,
        server_name: str,
        at: datetime,
        lifetime: timedelta = profiles.SIGNER_LIFETIME,
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> Issued:
        """Issue the certificate with which the management server *server_name* signs documents, for its *key* or a new one.

        Raises LintRefusedError if the profile does not allow the certificate. Then nothing was signed.
        """
        return self._issue(CertificateKind.SIGNER, (server_name,), at, lifetime, key)

    def issue_operator(self, name: str, at: datetime, lifetime: timedelta = profiles.OPERATOR_LIFETIME) -> Operator:
        """Issue the certificate and a new key by which the operator *name* logs in to the console.

        The key is returned and not written: the caller gives it to the operator. Raises LintRefusedError if the profile does not
        allow the certificate. Then nothing was signed.
        """
        key = files.new_key()
        made = self._certify(CertificateKind.OPERATOR, (name,), key.public_key(), at, lifetime)
        return Operator(made, (self.shown,), key)

    def certify_operator(
        self, name: str, key: LeafKey, at: datetime, lifetime: timedelta = profiles.OPERATOR_LIFETIME
    ) -> Certified:
        """Issue the certificate of an operator who has the *key*, and has proved it (`sipmesh.pki.csr`).

        Raises LintRefusedError as `issue_operator` does.
        """
        made = self._certify(CertificateKind.OPERATOR, (name,), key, at, lifetime)
        return Certified(made, _pem(made) + _pem(self.shown))

    def _issue(
        self,
        kind: CertificateKind,
        names: Sequence[str],
        at: datetime,
        lifetime: timedelta,
        key: ec.EllipticCurvePrivateKey | RSAPrivateKey | None = None,
        addresses: Sequence[str] = (),
    ) -> Issued:
        key = key or files.new_key()
        key_pem = files.key_pem(key)  # first, so that an unusable passphrase does not leave an unused certificate
        made = self._certify(kind, names, key.public_key(), at, lifetime, addresses)
        return Issued(made, _pem(made) + _pem(self.shown), key_pem)

    def _certify(
        self,
        kind: CertificateKind,
        names: Sequence[str],
        key: LeafKey,
        at: datetime,
        lifetime: timedelta,
        addresses: Sequence[str] = (),
    ) -> x509.Certificate:
        with ca_lock(self.folder):
            self._must_be_in_force(at)
            wish = self._wish(kind, names, key, at, lifetime)
            return self._sign(replace(wish, addresses=tuple(addresses)), at)

    def revoke(self, serial: int, reason: Reason, at: datetime, lost: str = "") -> Record:
        """Revoke one certificate and publish the new CRL. If it is revoked already, time and reason stay the same.

        *lost* is the name of a server whose certificate the ledger may have lost: then no row of the ledger is needed.
        Raises `UnrecordedRevocationError` if it is revoked, and the ledger does not store that.
        """
        with ca_lock(self.folder):
            record = self._found_again(serial, lost, at) if lost else self._find(serial)
            self._must_be_ours(record)
            if record.kind == CertificateKind.ROOT:
                remedy = "remove it from `anchors` in every topology instead"
                problem = Problem(self.folder / "root.pem", 0, "", "is a root certificate", remedy)
                raise OperatorError("a root cannot be revoked", (problem,))
            record = _revoked(record, reason, at)
            self._revoke((record,), reason, at)
            return record

    def _revoke(self, records: Sequence[Record], reason: Reason, at: datetime) -> None:
        """Record revocations of certificates of one CA, and publish its CRL, which does not wait for the ledger.

        Raises `UnrecordedRevocationError` at the end if the ledger does not store them.
        """
        refused: LedgerRefusedError | None = None
        for record in records:
            try:
                self._record_revocation(record, reason, at)
            except LedgerRefusedError as wrong:
                refused = wrong
        try:
            self.crls.publish_locked(at, CertificateKind(records[0].issuer), records)
        except LedgerRefusedError as wrong:
            refused = wrong
        if refused is not None:
            raise UnrecordedRevocationError(records, refused)

    def _record_revocation(self, record: Record, reason: Reason, at: datetime) -> None:
        """Record one revocation. A certificate that the ledger has lost is journalled again; its validity is not known."""
        if not self._ledger.has_row(record.serial):
            issuer, kind, until = CertificateKind.ISSUING, CertificateKind.SERVER, record.not_after
            self._ledger.reserve(record.serial, issuer, kind, record.names, (record.not_before, until), at)
        self._ledger.revoke(record.serial, reason, at)

    def _found_again(self, serial: int, name: str, at: datetime) -> Record:
        """Return the record of a certificate of *name*; without the certificate if the ledger has lost that.

        Raises `OperatorError` for a certificate of another name, and for a serial number that no certificate has: a server that
        lies may have reported it.
        """
        if not can_be_listed(serial):
            raise OperatorError(f"no certificate has the serial number {serial:x}; see `sipmesh ca status`")
        rows = [record for record in self._ledger.records() if record.serial == serial]
        if as_issued := next(filter(self.is_as_issued, rows), None):
            if as_issued.names[0] != name:
                whose = f"the certificate {serial:x} is of {as_issued.names[0]}, and not of {name}"
                raise OperatorError(f"{whose}; see `sipmesh ca status`")
            return as_issued
        issuer, kind, until = CertificateKind.ISSUING, CertificateKind.SERVER, at + profiles.LONGEST_LEAF_LIFETIME
        return Record(serial, str(issuer), str(kind), (name,), at, until, der=None, revoked_at=None, reason=None)

    def is_as_issued(self, record: Record) -> bool:
        """Tell whether *record* has its certificate, agrees with it, and this CA has signed that."""
        if record.der is None or why_record_differs(record):
            return False
        issuer = self._certificates[CertificateKind(record.issuer)]
        return issued_by(x509.load_der_x509_certificate(record.der), issuer)

    def revoke_servers(
        self, servers: Collection[str], reason: Reason, at: datetime, lost: Mapping[int, str] = NOTHING_LOST
    ) -> dict[int, str]:
        """Revoke all valid certificates of these *servers*, document signers and *lost* ones included, and publish one CRL.

        *lost* has the serial numbers of certificates that the ledger may have lost, each with its server.

        Returns the revoked serial numbers, each with its server; empty if there was nothing to revoke. Rows that were changed are
        passed over: `must_be_unchanged` finds them. Raises as `revoke` does if the ledger does not store it.
        """
        with ca_lock(self.folder):
            again = [self._found_again(serial, name, at) for serial, name in lost.items()]
            found = {record.serial: _revoked(record, reason, at) for record in (*again, *self.valid_of(servers, at))}
            if found:
                self._revoke(tuple(found.values()), reason, at)
        return {serial: record.names[0] for serial, record in found.items()}

    def must_be_unchanged(self, servers: Collection[str]) -> None:
        """Raise OperatorError if a row was changed: one of *servers* may have a certificate that is not found by its name."""
        if problems := self.changed_rows():
            raise OperatorError("the CA's ledger was changed", problems)
        for record in self.certificates:
            if record.kind not in CA_KINDS and record.names[0] in servers:
                self._must_be_ours(record)

    def valid_of(self, names: Container[str], at: datetime) -> list[Record]:
        """Give the records of certificates of servers or operators with these *names* that may be valid at the instant *at*.

        A row without certificate does not count if somebody has added it with the serial number of another certificate.
        """
        sound = [record for record in self.certificates if record.kind in CA_KINDS or record.may_be_valid(at)]
        found = [record for record in sound if record.kind not in CA_KINDS and record.names[0] in names]
        serials = {record.serial for record in found}
        as_issued = [record for record in sound if record.serial in serials and self.is_as_issued(record)]
        taken = {record.serial for record in as_issued}
        return [
            record for record in found if record in as_issued or (record.der is None and record.serial not in taken)
        ]

    def status(self, at: datetime) -> CaStatus:
        """Give the status of the CA and of all its certificates and CRLs at the instant *at*."""
        records = self.certificates
        return CaStatus(
            organisation=self.organisation,
            folder=self.folder,
            at=at,
            authorities=tuple(CertificateStatus.of(r, at) for r in records if r.kind in CA_KINDS),
            servers=tuple(CertificateStatus.of(r, at) for r in records if r.kind == CertificateKind.SERVER),
            signers=tuple(CertificateStatus.of(r, at) for r in records if r.kind == CertificateKind.SIGNER),
            operators=tuple(CertificateStatus.of(r, at) for r in records if r.kind == CertificateKind.OPERATOR),
            lists=self.crls.status(at),
            changed=self.changed_rows(),
        )

    def _wish(
        self,
        kind: CertificateKind,
        given: Sequence[str],
        key: LeafKey,
        at: datetime,
        lifetime: timedelta,
    ) -> CertificateProfile:
        begin, end = profiles.validity(at, lifetime)
        names = tuple(dict.fromkeys(name.lower() for name in given))
        return CertificateProfile(
            kind=kind,
            subject=profiles.server_name(self.organisation, names[0] if names else ""),
            names=names,
            key=key,
            not_before=max(begin, self.issuing.not_valid_before_utc),
            not_after=end,
            crl_url=f"{self._facts['crl_base']}/issuing.crl",
        )

    def _sign(self, wish: CertificateProfile, at: datetime) -> x509.Certificate:
        signer = CaSigner(CertificateKind.ISSUING, self.folder / "issuing.key", self.issuing)
        return issue_certificate(wish, signer, (self.issuing, self.root), self._ledger, at)

    def _must_be_in_force(self, at: datetime) -> None:
        """Raise OperatorError if the issuing CA is revoked or expired: peers would refuse what it signs.

        Its certificate and the CRL of the root say so, whatever was made of its row.
        """
        issuing = self.issuing
        rows = (record for record in self.certificates if record.serial == issuing.serial_number)
        is_revoked = self.crls.lists(CertificateKind.ROOT, issuing.serial_number) or any(
            record.revoked_at is not None for record in rows if self.is_as_issued(record)
        )
        if is_revoked or not issuing.not_valid_before_utc <= at <= issuing.not_valid_after_utc:
            why = "is revoked" if is_revoked else f"is not valid at {at:%Y-%m-%d %H:%M}Z"
            problem = Problem(self.folder / "issuing.pem", 0, "", why, "make a new CA with `sipmesh init`")
            raise OperatorError("the issuing CA cannot issue", (problem,))

    def _must_be_ours(self, record: Record) -> None:
        """Raise OperatorError if another CA has signed the certificate: revoking it would let the real one stay valid."""
        if record.der is not None and not self.is_as_issued(record):
            problem = self._changed(record, "was not signed by this CA")
            raise OperatorError("the CA's ledger was changed", (problem,))

    def _find(self, serial: int) -> Record:
        found = next((record for record in self.certificates if record.serial == serial), None)
        if found is None:
            problem = Problem(self.folder / "ledger.db", 0, "", f"has no serial {serial:x}", "see `sipmesh ca status`")
            raise OperatorError("this CA has not issued that certificate", (problem,))
        return found


def _build(
    folder: Path, organisation: str, crl_base: str, at: datetime, curve: ec.EllipticCurve, generation: int
) -> None:
    """Make a complete CA in an empty folder."""
    ledger = Ledger.create(folder, {"organisation": organisation, "crl_base": crl_base})
    above: tuple[x509.Certificate, ...] = ()
    signer: CaSigner | None = None
    for kind, lifetime in (
        (CertificateKind.ROOT, profiles.ROOT_LIFETIME),
        (CertificateKind.ISSUING, profiles.ISSUING_LIFETIME),
    ):
        key, key_file = files.new_key(curve), folder / f"{kind}.key"
        files.write(key_file, files.key_pem(key), files.SECRET)
        wish = CertificateProfile(
            kind=kind,
            subject=profiles.ca_name(organisation, kind, generation),
            names=(),
            key=key.public_key(),
            not_before=profiles.validity(at, lifetime)[0],
            not_after=profiles.validity(at, lifetime)[1],
            crl_url="" if kind is CertificateKind.ROOT else f"{crl_base}/root.crl",
        )
        made = issue_certificate(wish, signer or CaSigner(kind, key_file), above, ledger, at)
        files.write(folder / f"{kind}.pem", _pem(made))
        above, own = (made, *above), CaSigner(kind, key_file, made)
        signer = signer or own
        publish_crl(folder, own, made, ledger, at)


def _revoked(record: Record, reason: Reason, at: datetime) -> Record:
    """Return *record* as it is revoked; a certificate that is revoked already keeps its time and reason."""
    return record if record.revoked_at is not None else replace(record, revoked_at=at, reason=str(reason))


def _read(file: Path, problems: list[Problem]) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except OSError as wrong:
        reason, remedy = f"cannot be read ({wrong.strerror})", "make a CA with `sipmesh init`, or name its folder"
    except ValueError:
        reason, remedy = "contains no readable certificate", "restore it from your backup"
    problems.append(Problem(file, 0, "", reason, remedy))
    return None


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
