"""The enterprise CA of one organisation. It issues and revokes certificates, and publishes CRLs, from one folder.

The folder contains ``root.pem``, ``root.key``, ``root.crl``, the same three files of ``issuing``, and ``ledger.db``. It may have
the same three files of ``devices``, the device issuing CA (`sipmesh.pki.device_ca`). Several
processes may use it at the same time. Each certificate takes the same steps: draft, lint, journal, signature, lint of the
result. After a crash at any step, the CA opens again, and its ledger has every certificate that it may have signed.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.database.shared import SharedDatabase
from sipmesh.errors import LocalError, OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.ca_folder import organisation_of
from sipmesh.pki.creation import NO_TOKENS, build
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.crl.updater import CrlUpdater
from sipmesh.pki.device_ca import certify_device_ca, no_device_ca
from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.issue import algorithm_of, issue_certificate, own_key
from sipmesh.pki.issuance.profiles import CA_KINDS, CertificateKind, CertificateProfile
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.issued import Certified, Issued, IssuedToPerson
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.pki.ledger.checked_records import CheckedRecords
from sipmesh.pki.ledger.ledger import CRLS, FILE, OTHER, PUBLISHED, ROOT, YES, Ledger
from sipmesh.pki.lock import ca_lock
from sipmesh.pki.offline.cross_certificate import CROSS, CROSS_OVER, cross_wish
from sipmesh.pki.offline.root import OfflineRoot
from sipmesh.pki.revoker import NOTHING_LOST, Revoker
from sipmesh.pki.status import CaStatus, CertificateStatus
from sipmesh.pki.tokens.key_place import new_key, token_of
from sipmesh.trust.role import Role

BETWEEN: Final = "between.pem"
"""File in the folder of a CA below one of others: the CAs between our issuing CA and their root, nearest first."""

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from sipmesh.pki.issuance.profiles import LeafKey
    from sipmesh.pki.keys.algorithm import OwnKey, OwnPublicKey
    from sipmesh.pki.ledger.records import Record
    from sipmesh.pki.tokens.token_uri import TokenUri
    from sipmesh.trust.x509.device_identity import DeviceIdentity


def _no_check() -> None:
    """Check nothing."""


class EnterpriseCa:
    """The root and the issuing CA of one organisation. It issues and revokes certificates.

    *crls* publishes its CRLs. *records* are its certificates in the ledger. *offline_root* requests signatures from a root whose
    key is kept elsewhere. Instants are timezone-aware, and are always arguments.
    """

    def __init__(self, folder: Path, ledger: Ledger, certificates: dict[CertificateKind, x509.Certificate]) -> None:
        self.folder, self._ledger, self._certificates = folder, ledger, certificates
        self._facts = ledger.facts()
        self.has_own_root = self._facts.get(ROOT) != OTHER
        ours = {
            kind: one for kind, one in certificates.items() if self.has_own_root or kind is not CertificateKind.ROOT
        }
        self.crls = CrlUpdater(folder, ledger, ours)
        self.records = CheckedRecords(ledger, {**certificates, CertificateKind.ROOT: self._above[0]})
        self._revoker = Revoker(folder, ledger, self.records, self.crls)
        self.offline_root = OfflineRoot(self, ledger)

    @classmethod
    def create(
        cls,
        folder: Path,
        organisation: str,
        at: datetime,
        *,
        crl_base: str,
        algorithm: KeyAlgorithm = KeyAlgorithm.P_256,
        generation: int = 1,
        domains: Sequence[str] = (),
        tokens: Mapping[CertificateKind, TokenUri] = NO_TOKENS,
    ) -> EnterpriseCa:
        """Make root, issuing CA, device issuing CA and their first CRLs. The folder appears only when all of them are complete.

        Args:
            folder: Must not exist, or be empty.
            organisation: The O of every certificate, 1 to 64 characters.
            at: Now, timezone-aware.
            crl_base: The URL below which the CRLs are published, such as ``http://crl.example.com``.
            algorithm: That of the keys of the CA; below it servers and signers have `KeyAlgorithm.of_leaves`.
            generation: 2 for the CA that follows the first one, and so on (`sipmesh.pki.ca_rotation`).
            domains: The SIP domains of the device issuing CA; without domains there is none.
            tokens: The tokens in which the keys of root and issuing CA are made; without one, a key is in a file.

        Raises:
            OperatorError: There is a file or a CA in the folder.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            problem = Problem(folder, 0, "", "is there already", "name another folder, or use the CA in this folder")
            raise OperatorError("sipmesh does not overwrite a CA", (problem,))
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            build(beside, organisation, crl_base.rstrip("/"), at, algorithm, generation, domains, tokens)
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
        kinds = [kind for kind in CA_KINDS if kind is not CertificateKind.DEVICES or (folder / "devices.pem").exists()]
        certificates = {kind: found for kind in kinds if (found := _read(folder / f"{kind}.pem", problems))}
        is_shared = SharedDatabase.find(organisation_of(folder)) is not None
        keys = (folder / f"{kind}.key" for kind in kinds if kind is not CertificateKind.ROOT)
        others = (*(() if is_shared else (folder / FILE,)), *keys)
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
    def devices(self) -> x509.Certificate | None:
        """The certificate of the CA that issues for devices, or None."""
        return self._certificates.get(CertificateKind.DEVICES)

    @property
    def is_crossed(self) -> bool:
        """Whether servers present the cross-certificate. Another host of a management pool has the file after the switch too."""
        return (self.folder / CROSS).exists() and not (self.folder / CROSS_OVER).exists()

    @property
    def shown(self) -> x509.Certificate:
        """The CA certificate in the chains of servers: the cross-certificate until the switch, else `issuing`."""
        return x509.load_pem_x509_certificate((self.folder / CROSS).read_bytes()) if self.is_crossed else self.issuing

    @property
    def presented(self) -> tuple[x509.Certificate, ...]:
        """The CA certificates in the chains of servers, nearest first: `shown`, and the CAs of others between it and the root."""
        return (self.shown,) if self.is_crossed else (self.issuing, *self._above[:-1])

    @property
    def crls_above(self) -> tuple[str, ...]:
        """The CRLs of the CAs above our issuing CA, as the topology names them; empty if the root is ours."""
        return tuple(filter(None, self._facts.get(CRLS, "").split("\n")))

    @cached_property
    def _above(self) -> tuple[x509.Certificate, ...]:
        """The issuers of the issuing CA, nearest first, the root last."""
        between = self.folder / BETWEEN
        found = x509.load_pem_x509_certificates(between.read_bytes()) if between.exists() else ()
        return (*found, self.root)

    @property
    def algorithm(self) -> KeyAlgorithm:
        """The algorithm of the issuing CA's key."""
        return algorithm_of(own_key(self.issuing))

    @property
    def crl_base(self) -> str:
        """The URL below which the CRLs are published."""
        return self._facts["crl_base"]

    @property
    def is_published(self) -> bool:
        """Whether OCSP and the CA certificates are served below `crl_base`, so that new certificates name them."""
        return self._facts.get(PUBLISHED) == YES

    def publish(self, *, is_on: bool) -> None:
        """Let the certificates from now on name our OCSP responder and the certificate of their issuer, or not any more."""
        if is_on != self.is_published:
            self._ledger.replace_fact(PUBLISHED, YES if is_on else "")
            self._facts = self._ledger.facts()

    def cross_certify(self, other: EnterpriseCa, at: datetime) -> bytes:
        """Sign a cross-certificate for the issuing CA of the next generation with our root; returns PEM.

        Clients that trust only our root can then verify it. It expires with the first of our root and that issuing CA. Raises
        `OperatorError` if the root's key is not here.
        """
        with ca_lock(self.folder):
            signer = CaSigner(CertificateKind.ROOT, self.folder / "root.key", self.root)
            return _pem(issue_certificate(cross_wish(self, other), signer, (self.root,), self._ledger, at))

    def issue(
        self,
        names: Sequence[str],
        role: Role,
        at: datetime,
        lifetime: timedelta = profiles.LEAF_LIFETIME,
        *,
        key: OwnKey | None = None,
    ) -> Issued:
        """Issue a certificate for one server and its *key*, a new one by default.

        *names* are from the topology (`sipmesh.topology.view.certificate_names`), the server's own name first. Raises
        LintRefusedError if the profile does not allow the certificate. Then nothing was signed.
        """
        if not isinstance(role, Role):
            raise LocalError(f"{role!r} is not a role")
        # Files of the CA are sealed to the key of a management server, which ML-DSA cannot do (`sipmesh.pki.keys.sealing`).
        algorithm = KeyAlgorithm.P_256 if role is Role.MANAGEMENT else self.algorithm.of_leaves
        return self._issue(CertificateKind.SERVER, names, at, lifetime, key or algorithm.new_key())

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
        key: OwnPublicKey,
        at: datetime,
        lifetime: timedelta = profiles.LEAF_LIFETIME,
        *,
        check: Callable[[], None] = _no_check,
    ) -> Certified:
        """Issue a certificate for a *key* on another machine, after its owner has proved it (`sipmesh.pki.csr`).

        *check* runs while no other process issues or revokes anything; if it raises, nothing is signed.
        """
        if not isinstance(role, Role):
            raise LocalError(f"{role!r} is not a role")
        if role is Role.MANAGEMENT and not isinstance(key, EllipticCurvePublicKey):
            raise OperatorError("a management server has an ECDSA key: files of the CA are sealed to it")
        made = self._certify(CertificateKind.SERVER, names, key, at, lifetime, check=check)
        return Certified(made, self._chain(made))

    def issue_signer(
        self,
        server_name: str,
        at: datetime,
        lifetime: timedelta = profiles.SIGNER_LIFETIME,
        *,
        key: OwnKey | None = None,
    ) -> Issued:
        """Issue the certificate with which the management server *server_name* signs documents, for its *key* or a new one.

        Raises LintRefusedError if the profile does not allow the certificate. Then nothing was signed.
        """
        key = key or new_key(
            token_of(self.folder / "issuing.key"), f"{self.organisation} signer {server_name}", self.algorithm.of_leaves
        )
        return self._issue(CertificateKind.SIGNER, (server_name,), at, lifetime, key)

    def issue_operator(
        self, name: str, at: datetime, lifetime: timedelta = profiles.OPERATOR_LIFETIME
    ) -> IssuedToPerson:
        """Issue the certificate and a new key by which the operator *name* logs in to the console.

        The key is returned and not written: the caller gives it to the operator. Raises LintRefusedError if the profile does not
        allow the certificate. Then nothing was signed.
        """
        key = files.new_key()
        made = self._certify(CertificateKind.OPERATOR, (name,), key.public_key(), at, lifetime)
        return IssuedToPerson(made, self.presented, key)

    def certify_operator(
        self, name: str, key: LeafKey, at: datetime, lifetime: timedelta = profiles.OPERATOR_LIFETIME
    ) -> Certified:
        """Issue the certificate of an operator who has the *key*, and has proved it (`sipmesh.pki.csr`).

        Raises LintRefusedError as `issue_operator` does.
        """
        made = self._certify(CertificateKind.OPERATOR, (name,), key, at, lifetime)
        return Certified(made, self._chain(made))

    def certify_devices(self, domains: Sequence[str], at: datetime) -> EnterpriseCa:
        """Make the device issuing CA, or give it a new certificate for other SIP *domains*; returns the CA that has it.

        Raises `OperatorError` if the root's key is not here: then `offline_root` requests the certificate.
        """
        if not self.has_own_root:
            remedy = "use a root of ours: sipmesh ca root prepare"
            problem = Problem(self.folder / "root.pem", 0, "", "is of another organisation", remedy)
            raise OperatorError("a CA for devices needs a root of ours", (problem,))
        with ca_lock(self.folder):
            certify_device_ca(self.folder, self._ledger, self.root, domains, at)
        return EnterpriseCa.open(self.folder)

    def certify_device(
        self,
        identity: DeviceIdentity,
        key: LeafKey,
        at: datetime,
        lifetime: timedelta = profiles.DEVICE_LIFETIME,
        *,
        check: Callable[[], None] = _no_check,
    ) -> Certified:
        """Issue the certificate of a device that has the *key*, and has proved it (`sipmesh.pki.csr`).

        The names are those of *identity* alone. *check* is that of `certify`. Raises `OperatorError` without a device issuing CA,
        and LintRefusedError for a user in no domain of it.
        """
        devices = self._device_ca()
        made = self._certify(CertificateKind.DEVICE, _names_of(identity), key, at, lifetime, check=check)
        return Certified(made, _pem(made) + _pem(devices))

    def issue_device(
        self,
        identity: DeviceIdentity,
        at: datetime,
        lifetime: timedelta = profiles.DEVICE_LIFETIME,
        *,
        rsa: bool = False,
        check: Callable[[], None] = _no_check,
    ) -> IssuedToPerson:
        """Issue the certificate and a new key of a device, for its user to install; *check* and errors as in `certify_device`."""
        devices, key = self._device_ca(), files.new_rsa_key() if rsa else files.new_key()
        made = self._certify(CertificateKind.DEVICE, _names_of(identity), key.public_key(), at, lifetime, check=check)
        return IssuedToPerson(made, (devices,), key)

    def _device_ca(self) -> x509.Certificate:
        if self.devices is None:
            raise no_device_ca(self.folder)
        return self.devices

    def _issue(
        self,
        kind: CertificateKind,
        names: Sequence[str],
        at: datetime,
        lifetime: timedelta,
        key: OwnKey | RSAPrivateKey,
        addresses: Sequence[str] = (),
    ) -> Issued:
        key_pem = files.key_pem(key)  # first, so that an unusable passphrase does not leave an unused certificate
        made = self._certify(kind, names, key.public_key(), at, lifetime, addresses)
        return Issued(made, self._chain(made), key_pem)

    def _chain(self, made: x509.Certificate) -> bytes:
        return files.certificates_pem((made, *self.presented))

    def _certify(
        self,
        kind: CertificateKind,
        names: Sequence[str],
        key: LeafKey,
        at: datetime,
        lifetime: timedelta,
        addresses: Sequence[str] = (),
        check: Callable[[], None] = _no_check,
    ) -> x509.Certificate:
        with ca_lock(self.folder):
            check()
            self._must_be_in_force(kind.issuer, at)
            wish = self._wish(kind, names, key, at, lifetime)
            return self._sign(replace(wish, addresses=tuple(addresses)), at)

    @property
    def certificates(self) -> tuple[Record, ...]:
        """All certificates in the ledger, oldest first, without rows that were changed: `records` gives these."""
        return self.records.sound

    def revoke(self, serial: int, reason: Reason, at: datetime, lost: str = "") -> Record:
        """Revoke one certificate and publish the new CRL, as `Revoker.revoke` does."""
        return self._revoker.revoke(serial, reason, at, lost)

    def revoke_servers(
        self, servers: Collection[str], reason: Reason, at: datetime, lost: Mapping[int, str] = NOTHING_LOST
    ) -> dict[int, str]:
        """Revoke all valid certificates of these *servers* and publish one CRL, as `Revoker.revoke_servers` does."""
        return self._revoker.revoke_servers(servers, reason, at, lost)

    def revoke_all(self, records: Sequence[Record], reason: Reason, at: datetime) -> None:
        """Revoke certificates that one of our CAs has issued, as `Revoker.revoke_all` does."""
        self._revoker.revoke_all(records, reason, at)

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
            devices=tuple(CertificateStatus.of(r, at) for r in records if r.kind == CertificateKind.DEVICE),
            lists=self.crls.status(at),
            changed=self.records.changed_rows(),
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
        is_device, issuer = kind is CertificateKind.DEVICE, self._certificates[kind.issuer]
        names = tuple(given) if is_device else tuple(dict.fromkeys(name.lower() for name in given))
        subject = profiles.device_name if is_device else profiles.server_name
        return CertificateProfile(
            kind=kind,
            subject=subject(self.organisation, *(names if is_device else names[:1] or ("",))),
            names=names,
            key=key,
            not_before=max(begin, issuer.not_valid_before_utc),
            not_after=end,
            crl_url=f"{self.crl_base}/{kind.issuer}.crl",
            ocsp_url=f"{self.crl_base}/ocsp" if self.is_published else "",
            issuer_url=f"{self.crl_base}/{kind.issuer}.crt" if self.is_published else "",
        )

    def _sign(self, wish: CertificateProfile, at: datetime) -> x509.Certificate:
        kind = wish.kind.issuer
        signer = CaSigner(kind, self.folder / f"{kind}.key", self._certificates[kind])
        above = self._above if kind is CertificateKind.ISSUING else (self.root,)
        return issue_certificate(wish, signer, (self._certificates[kind], *above), self._ledger, at)

    def _must_be_in_force(self, kind: CertificateKind, at: datetime) -> None:
        """Raise OperatorError if the CA of this *kind* is revoked or expired: peers would refuse what it signs.

        Its certificate and the CRL of the root say so, even if its row in the ledger was changed.
        """
        issuing = self._certificates[kind]
        rows = (record for record in self.certificates if record.serial == issuing.serial_number)
        is_revoked = (self.has_own_root and self.crls.lists(CertificateKind.ROOT, issuing.serial_number)) or any(
            record.revoked_at is not None for record in rows if self.records.is_as_issued(record)
        )
        if is_revoked or not issuing.not_valid_before_utc <= at <= issuing.not_valid_after_utc:
            why = "is revoked" if is_revoked else f"is not valid at {at:%Y-%m-%d %H:%M}Z"
            problem = Problem(self.folder / f"{kind}.pem", 0, "", why, "make a new CA with `sipmesh init`")
            called = "issuing CA" if kind is CertificateKind.ISSUING else "device issuing CA"
            raise OperatorError(f"the {called} cannot issue", (problem,))


def _names_of(identity: DeviceIdentity) -> tuple[str, str]:
    return identity.user.removeprefix("sip:"), identity.device


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
