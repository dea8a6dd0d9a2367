"""The enterprise CA of one organisation: it issues, revokes, and publishes its lists, from one folder.

The folder holds ``root.pem``, ``root.key``, ``root.crl``, the same three of ``issuing``, and ``ledger.db``. Several
processes may use it at once. Every certificate takes the same way: draft, lint, journal, signature, lint of the result;
a crash anywhere on it leaves a CA that opens again and knows of everything that it may have signed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import LocalError, OperatorError, Problem
from sipmesh.pki import crl, files, lint, profiles
from sipmesh.pki.crl import Reason
from sipmesh.pki.ledger import Ledger, Record
from sipmesh.pki.offline_signing import OfflineRequest, What, mark
from sipmesh.pki.profiles import Kind, Wish
from sipmesh.pki.signer import Signer, digest, draft
from sipmesh.pki.status import CaStatus, CertificateStatus, ListStatus
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_CA_KINDS = (Kind.ROOT, Kind.ISSUING)

CROSS = "issuing-cross.pem"
"""The file of the issuing CA's certificate by the root before; it is shown as long as it is there under that name."""


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """A new certificate with its key, not yet in any file."""

    certificate: x509.Certificate
    chain: bytes  # PEM: the leaf, then the issuing CA
    key: bytes  # PEM, PKCS #8, encrypted where a passphrase is configured

    def write(self, certificate_file: Path, key_file: Path) -> None:
        """Put both into their files, the key with mode 0600, one right after the other."""
        for file in (certificate_file, key_file):
            file.parent.mkdir(parents=True, exist_ok=True)
        files.commit(
            [
                files.prepare(key_file, self.key, files.SECRET),
                files.prepare(certificate_file, self.chain, files.PUBLIC),
            ]
        )

    def __repr__(self) -> str:
        return f"<Issued {self.certificate.subject.rfc4514_string()} {self.certificate.serial_number:x}>"


@dataclass(frozen=True, slots=True)
class Certified:
    """A new certificate for a key that is somewhere else; *chain* is PEM, the leaf and then the issuing CA."""

    certificate: x509.Certificate
    chain: bytes


class EnterpriseCa:
    """Root and issuing CA of one organisation. Instants are timezone-aware; nothing here reads a clock."""

    def __init__(self, folder: Path, ledger: Ledger, certificates: dict[Kind, x509.Certificate]) -> None:
        self.folder, self._ledger, self._certificates = folder, ledger, certificates
        self._facts = ledger.facts()

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
        """Make root, issuing CA and their first lists; the folder appears whole or not at all.

        Args:
            folder: Must not exist yet, or be empty.
            organisation: The O of every certificate, 1 to 64 characters.
            at: Now.
            crl_base: Where the lists are published, such as ``http://crl.example.com``.
            curve: Of the two CAs' keys; P-256 by default.
            generation: 2 for the CA that takes over from the first one, and so on (`sipmesh.pki.ca_rotation`).
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            problem = Problem(folder, 0, "", "is there already", "name another folder, or use the CA in this folder")
            raise OperatorError("sipmesh does not overwrite a CA", (problem,))
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _build(beside, organisation, crl_base.rstrip("/"), at, curve or ec.SECP256R1(), generation)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        files.sync_folder(folder.parent)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> EnterpriseCa:
        """Open the CA in *folder*, or raise OperatorError with everything that is missing.

        The root's key may be kept elsewhere: it is asked for when something has to be signed by it.
        """
        problems: list[Problem] = []
        certificates = {kind: found for kind in _CA_KINDS if (found := _read(folder / f"{kind}.pem", problems))}
        others = (folder / "ledger.db", folder / f"{Kind.ISSUING}.key")
        missing = (file for file in others if not file.is_file())
        problems += (Problem(file, 0, "", "is missing", "restore it from your backup") for file in missing)
        if problems:
            raise OperatorError(f"the CA in {folder} is incomplete", tuple(problems))
        return cls(folder, Ledger(folder / "ledger.db"), certificates)

    @property
    def organisation(self) -> str:
        """Whose CA this is."""
        return self._facts["organisation"]

    @property
    def root(self) -> x509.Certificate:
        """The anchor that every member trusts."""
        return self._certificates[Kind.ROOT]

    @property
    def issuing(self) -> x509.Certificate:
        """The CA that issues the servers' certificates."""
        return self._certificates[Kind.ISSUING]

    @property
    def shown(self) -> x509.Certificate:
        """The certificate of the issuing CA that servers show: by its own root, or by the root before while that counts."""
        cross = self.folder / CROSS
        return x509.load_pem_x509_certificate(cross.read_bytes()) if cross.exists() else self.issuing

    @property
    def crl_base(self) -> str:
        """Where the lists are published."""
        return self._facts["crl_base"]

    def cross_certify(self, other: EnterpriseCa, at: datetime) -> bytes:
        """Certify the issuing CA of the next generation with our root, for those who know no other; gives it in PEM.

        It ends with the first of our root and that issuing CA. Raises `OperatorError` where the root's key is not here.
        """
        with self._alone():
            signer = Signer(Kind.ROOT, self.folder / "root.key", self.root)
            return _pem(_certify(self._cross_wish(other), signer, (self.root,), self._ledger, at))

    def _cross_wish(self, other: EnterpriseCa) -> Wish:
        theirs = other.issuing
        return Wish(
            kind=Kind.ISSUING,
            subject=theirs.subject,
            names=(),
            key=_ecdsa(theirs),
            not_before=theirs.not_valid_before_utc,
            not_after=min(theirs.not_valid_after_utc, self.root.not_valid_after_utc),
            crl_url=f"{self.crl_base}/root.crl",
        )

    # A root whose key is elsewhere

    def ask_for_list(self, at: datetime) -> OfflineRequest:
        """What the root has to sign for its next list, which `take` then publishes; its number is in the ledger from now on."""
        with self._alone():
            made = self._ledger.reserve_list(Kind.ROOT, *crl.times(Kind.ROOT, at))
            builder = crl.builder(self.root, made, crl.listed(self.certificates, Kind.ROOT, at))
            throwaway = ec.generate_private_key(_ecdsa(self.root).curve)
            drafted = builder.sign(throwaway, digest(throwaway.curve)).public_bytes(Encoding.DER)
            return self._sent(OfflineRequest(What.LIST, mark(self.root), drafted))

    def ask_for_cross(self, other: EnterpriseCa, at: datetime) -> OfflineRequest:
        """What the root has to sign so that it vouches for the issuing CA of the next generation."""
        wish = self._cross_wish(other)
        with self._alone():
            builder = profiles.builder(wish, self.root.subject, _ecdsa(self.root))
            looked_at = draft(builder, x509.random_serial_number(), _ecdsa(self.root).curve)
            lint.refuse(lint.lint(looked_at, wish, self.root), self.folder)
            names = (wish.subject.rfc4514_string(),)
            validity = (wish.not_before, wish.not_after)
            self._ledger.reserve(looked_at.serial_number, Kind.ROOT, wish.kind, names, validity, at)
            return self._sent(OfflineRequest(What.CROSS, mark(self.root), looked_at.public_bytes(Encoding.DER)))

    def take(self, errand: OfflineRequest, other: EnterpriseCa | None) -> Path:
        """Put what the root has signed in place: octet for octet what it was asked for last; gives the file.

        *other* is the next generation, for its cross-certificate. Raises `OperatorError`.
        """
        asked = self.folder / f"errand-{errand.what}.json"
        if not asked.exists():
            raise OperatorError("there is no open signing request; to make it: sipmesh ca root request")
        with self._alone():
            errand.must_be(OfflineRequest.read(asked.read_bytes(), asked))
            errand.must_be_signed_by(self.root)
            if errand.what is What.LIST:
                file = self.folder / "root.crl"
                files.write(file, errand.list().public_bytes(Encoding.PEM))
            else:
                if other is None:
                    raise OperatorError("no next CA is prepared; first: sipmesh ca root prepare")
                file = other.folder / CROSS
                made = errand.certificate()
                self._ledger.issued(made.serial_number, errand.body)
                files.write(file, _pem(made))
            asked.unlink()
        return file

    def _sent(self, errand: OfflineRequest) -> OfflineRequest:
        files.write(self.folder / f"errand-{errand.what}.json", errand.encode())
        return errand

    @property
    def certificates(self) -> tuple[Record, ...]:
        """The ledger: everything ever issued, oldest first."""
        return self._ledger.records()

    def issue(
        self, names: Sequence[str], role: Role, at: datetime, lifetime: timedelta = profiles.LEAF_LIFETIME
    ) -> Issued:
        """Issue a certificate and a key for one server.

        *names* come from the topology (`sipmesh.topology.view.certificate_names`), the server's own first. Raises
        LintRefusedError for what the profile does not allow; then nothing was signed.
        """
        if not isinstance(role, Role):
            raise LocalError(f"{role!r} is not a role")
        return self._issue(Kind.SERVER, names, at, lifetime)

    def certify(
        self,
        names: Sequence[str],
        role: Role,
        key: ec.EllipticCurvePublicKey,
        at: datetime,
        lifetime: timedelta = profiles.LEAF_LIFETIME,
    ) -> Certified:
        """Issue a certificate for a *key* that was made elsewhere, and whose owner has shown to have it; else as `issue`."""
        if not isinstance(role, Role):
            raise LocalError(f"{role!r} is not a role")
        made = self._certify(Kind.SERVER, names, key, at, lifetime)
        return Certified(made, _pem(made) + _pem(self.shown))

    def issue_signer(self, server_name: str, at: datetime, lifetime: timedelta = profiles.SIGNER_LIFETIME) -> Issued:
        """Issue the certificate and the key by which the management server *server_name* signs what it publishes.

        Raises LintRefusedError for what the profile does not allow; then nothing was signed.
        """
        return self._issue(Kind.SIGNER, (server_name,), at, lifetime)

    def _issue(self, kind: Kind, names: Sequence[str], at: datetime, lifetime: timedelta) -> Issued:
        key = files.new_key()
        key_pem = files.key_pem(key)  # first: a passphrase that cannot be used must not cost a certificate
        made = self._certify(kind, names, key.public_key(), at, lifetime)
        return Issued(made, _pem(made) + _pem(self.shown), key_pem)

    def _certify(
        self, kind: Kind, names: Sequence[str], key: ec.EllipticCurvePublicKey, at: datetime, lifetime: timedelta
    ) -> x509.Certificate:
        with self._alone():
            self._must_be_in_force(at)
            return self._sign(self._wish(kind, names, key, at, lifetime), at)

    def revoke(self, serial: int, reason: Reason, at: datetime) -> Record:
        """Revoke one certificate and publish the list that says so; revoking twice leaves the first one standing."""
        with self._alone():
            record = self._find(serial)
            if record.kind == Kind.ROOT:
                remedy = "remove it from `anchors` in every topology instead"
                problem = Problem(self.folder / "root.pem", 0, "", "is a root certificate", remedy)
                raise OperatorError("a root cannot be revoked", (problem,))
            self._ledger.revoke(serial, reason, at)
            self._publish(Kind(record.issuer), at)
            return self._find(serial)

    def revoke_servers(self, servers: Collection[str], reason: Reason, at: datetime) -> dict[int, str]:
        """Revoke every certificate of these *servers* that is still valid, signers included, and publish one list.

        Gives the serials that were revoked, each with its server; none where there is nothing to revoke.
        """
        with self._alone():
            found = {
                record.serial: record.names[0]
                for record in self.certificates
                if record.kind not in _CA_KINDS
                and record.names[0] in servers
                and record.revoked_at is None
                and record.not_after > at
            }
            for serial in found:
                self._ledger.revoke(serial, reason, at)
            if found:
                self._publish(Kind.ISSUING, at)
        return found

    def crl(self, at: datetime, kind: Kind = Kind.ISSUING) -> Path:
        """Make and publish a new list, whether or not it is due; return its file."""
        with self._alone():
            return self._publish(kind, at)

    def reissue_due(self, at: datetime) -> tuple[Kind, ...]:
        """Which lists should be made anew: by their age, or when the published file is not the ledger's last word."""
        return tuple(kind for kind in _CA_KINDS if self._is_due(kind, at))

    def reissue(self, at: datetime) -> tuple[Path, ...]:
        """Make the lists that are due; return their files. The root's comes last: its key may be kept elsewhere."""
        with self._alone():
            return tuple(self._publish(kind, at) for kind in reversed(self.reissue_due(at)))

    @property
    def signed_last(self) -> datetime | None:
        """When the newest list was signed, by the clock of that time; None where there is none."""
        made = (self._ledger.last_list(kind) for kind in _CA_KINDS)
        return max((one.this_update + profiles.BACKDATED for one in made if one is not None), default=None)

    def jump(self, by: int) -> None:
        """Let the numbers of lists go on *by* further; the lists themselves are due from then on. For a CA that was restored."""
        with self._alone():
            self._ledger.jump(by)

    def has_key(self, kind: Kind) -> bool:
        """Whether the key of one of our CAs is here: a root's may be kept elsewhere."""
        return (self.folder / f"{kind}.key").exists()

    def status(self, at: datetime) -> CaStatus:
        """Everything an operator wants to see of the CA at the instant *at*."""
        records = self.certificates
        return CaStatus(
            organisation=self.organisation,
            folder=self.folder,
            at=at,
            authorities=tuple(CertificateStatus.of(r, at) for r in records if r.kind in _CA_KINDS),
            servers=tuple(CertificateStatus.of(r, at) for r in records if r.kind == Kind.SERVER),
            signers=tuple(CertificateStatus.of(r, at) for r in records if r.kind == Kind.SIGNER),
            lists=tuple(self._list_status(kind, at) for kind in _CA_KINDS),
        )

    def _list_status(self, kind: Kind, at: datetime) -> ListStatus:
        made = self._ledger.last_list(kind)
        revoked = len(crl.listed(self.certificates, kind, at))
        return ListStatus(kind, self.folder / f"{kind}.crl", made, at, revoked, due=self._is_due(kind, at))

    def _wish(
        self, kind: Kind, given: Sequence[str], key: ec.EllipticCurvePublicKey, at: datetime, lifetime: timedelta
    ) -> Wish:
        begin, end = profiles.validity(at, lifetime)
        names = tuple(dict.fromkeys(name.lower() for name in given))
        return Wish(
            kind=kind,
            subject=profiles.server_name(self.organisation, names[0] if names else ""),
            names=names,
            key=key,
            not_before=max(begin, self.issuing.not_valid_before_utc),
            not_after=end,
            crl_url=f"{self._facts['crl_base']}/issuing.crl",
        )

    def _sign(self, wish: Wish, at: datetime) -> x509.Certificate:
        signer = Signer(Kind.ISSUING, self.folder / "issuing.key", self.issuing)
        return _certify(wish, signer, (self.issuing, self.root), self._ledger, at)

    def _must_be_in_force(self, at: datetime) -> None:
        """What a revoked or expired issuing CA signs is worth nothing, so it signs nothing."""
        record = self._find(self.issuing.serial_number)
        if record.revoked_at or not record.not_before <= at <= record.not_after:
            why = "is revoked" if record.revoked_at else f"is not valid at {at:%Y-%m-%d %H:%M}Z"
            problem = Problem(self.folder / "issuing.pem", 0, "", why, "make a new CA with `sipmesh init`")
            raise OperatorError("the issuing CA cannot issue", (problem,))

    def _find(self, serial: int) -> Record:
        found = next((record for record in self.certificates if record.serial == serial), None)
        if found is None:
            problem = Problem(self.folder / "ledger.db", 0, "", f"has no serial {serial:x}", "see `sipmesh ca status`")
            raise OperatorError("this CA has not issued that certificate", (problem,))
        return found

    def _is_due(self, kind: Kind, at: datetime) -> bool:
        made = self._ledger.last_list(kind)
        due = made is None or at >= crl.due_from(made, key_is_here=self.has_key(kind))
        if made is not None and made.this_update > at:  # signed by a clock that was ahead: it counts for nobody yet
            return True
        if made is None or due or made.revoked != self._ledger.revocations(kind):
            return True
        return _number_in(self.folder / f"{kind}.crl") != made.number

    def _publish(self, kind: Kind, at: datetime) -> Path:
        if not self.has_key(kind):
            remedy = (
                "request a list from the root: sipmesh ca root request list FILE; or restore the key from your backup"
            )
            problem = Problem(self.folder / f"{kind}.key", 0, "", "is on another machine", remedy)
            raise OperatorError(f"the revocation list of the {kind} CA cannot be signed here", (problem,))
        signer = Signer(kind, self.folder / f"{kind}.key", self._certificates[kind])
        return _publish(self.folder, signer, self._certificates[kind], self._ledger, at)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else signs meanwhile: an older list must never take the place of a newer one."""
        with _lock(self.folder / ".lock"):
            yield


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Hold an exclusive lock that the kernel drops with the process."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.SECRET)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _build(
    folder: Path, organisation: str, crl_base: str, at: datetime, curve: ec.EllipticCurve, generation: int
) -> None:
    """Make a whole CA in an empty folder."""
    ledger = Ledger.create(folder / "ledger.db", {"organisation": organisation, "crl_base": crl_base})
    above: tuple[x509.Certificate, ...] = ()
    signer: Signer | None = None
    for kind, lifetime in ((Kind.ROOT, profiles.ROOT_LIFETIME), (Kind.ISSUING, profiles.ISSUING_LIFETIME)):
        key, key_file = files.new_key(curve), folder / f"{kind}.key"
        files.write(key_file, files.key_pem(key), files.SECRET)
        wish = Wish(
            kind=kind,
            subject=profiles.ca_name(organisation, kind, generation),
            names=(),
            key=key.public_key(),
            not_before=profiles.validity(at, lifetime)[0],
            not_after=profiles.validity(at, lifetime)[1],
            crl_url="" if kind is Kind.ROOT else f"{crl_base}/root.crl",
        )
        made = _certify(wish, signer or Signer(kind, key_file), above, ledger, at)
        files.write(folder / f"{kind}.pem", _pem(made))
        above, own = (made, *above), Signer(kind, key_file, made)
        signer = signer or own
        _publish(folder, own, made, ledger, at)


def _certify(
    wish: Wish, signer: Signer, above: tuple[x509.Certificate, ...], ledger: Ledger, at: datetime
) -> x509.Certificate:
    """Draft, lint, journal, sign, and lint what came out; *above* are the issuers, empty for a root."""
    issuer = above[0] if above else None
    issuer_key = issuer.public_key() if issuer else wish.key
    if not isinstance(issuer_key, ec.EllipticCurvePublicKey):
        raise LocalError("our CAs have ECDSA keys")
    builder = profiles.builder(wish, issuer.subject if issuer else wish.subject, issuer_key)
    looked_at = draft(builder, x509.random_serial_number(), issuer_key.curve)
    lint.refuse(lint.lint(looked_at, wish, issuer), ledger.file.parent)
    names = wish.names or (wish.subject.rfc4514_string(),)
    ticket = ledger.reserve(
        looked_at.serial_number, signer.kind, wish.kind, names, (wish.not_before, wish.not_after), at
    )
    signed = signer.sign(builder, ticket)
    faults = lint.lint(signed, wish, issuer) + lint.check_signed(signed, looked_at, above, at=at)
    lint.refuse(faults, ledger.file.parent)
    ledger.issued(signed.serial_number, signed.public_bytes(Encoding.DER))
    return signed


def _publish(folder: Path, signer: Signer, issuer: x509.Certificate, ledger: Ledger, at: datetime) -> Path:
    """Journal, sign and publish a list; the caller holds the lock."""
    file = folder / f"{signer.kind}.crl"
    made = ledger.reserve_list(signer.kind, *crl.times(signer.kind, at))
    signed = signer.sign_list(crl.builder(issuer, made, crl.listed(ledger.records(), signer.kind, at)))
    files.write(file, signed.public_bytes(Encoding.PEM))
    return file


def _number_in(file: Path) -> int | None:
    """The number of a published list, None if there is none that can be read."""
    try:
        found = x509.load_pem_x509_crl(file.read_bytes())
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None


def _read(file: Path, problems: list[Problem]) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except OSError as wrong:
        reason, remedy = f"cannot be read ({wrong.strerror})", "make a CA with `sipmesh init`, or name its folder"
    except ValueError:
        reason, remedy = "contains no readable certificate", "restore it from your backup"
    problems.append(Problem(file, 0, "", reason, remedy))
    return None


def _ecdsa(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise LocalError("our CAs have ECDSA keys")
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
