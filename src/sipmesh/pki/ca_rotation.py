"""The rotation of the root: the current generation of the CA, the next one, and earlier generations with valid certificates.

A generation is a complete CA with its own folder. The first is in the CA's folder, the others in its subfolders ``2``, ``3``
and so on. The issuing CA of a new generation has two certificates for one key: one by its own root, and one by the root of
the generation before (the cross-certificate). So clients that trust only the old root can verify new certificates.

A server presents one of the two, never both: the cross-certificate until all clients trust the new root.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.device_ca import device_domains
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.ledger.ledger import Ledger
from sipmesh.pki.ledger.refusals import UnrecordedRevocationError
from sipmesh.pki.lock import ca_lock
from sipmesh.pki.offline.cross_certificate import CROSS, CROSS_OVER
from sipmesh.pki.revoker import NOTHING_LOST
from sipmesh.pki.tokens.key_place import token_of
from sipmesh.trust.x509.certificate import issued_by
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from sipmesh.pki.crl.builder import Reason
    from sipmesh.pki.keys.algorithm import KeyAlgorithm
    from sipmesh.pki.ledger.records import Record
    from sipmesh.pki.tokens.token_uri import TokenUri

_SLOTS = "generations.json"


@dataclass(frozen=True, slots=True)
class _Slots:
    """The generation that issues, and the retired generations."""

    current: int
    retired: frozenset[int]


class CaGenerations:
    """All generations of the CA in *folder*; raises `OperatorError` if a file there is damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._slots = self._read()

    @staticmethod
    def are_in(folder: Path) -> bool:
        """Tell whether there is a CA in *folder*."""
        return Ledger.is_in(folder)

    @property
    def numbers(self) -> list[int]:
        """The numbers of all generations, also of retired generations."""
        below = (int(entry.name) for entry in self.folder.iterdir() if entry.name.isdigit() and entry.is_dir())
        return sorted({1, *below})

    @property
    def number(self) -> int:
        """The number of the generation that issues."""
        return self._slots.current

    @property
    def current(self) -> EnterpriseCa:
        """The CA that issues."""
        return self.open(self._slots.current)

    @property
    def next(self) -> EnterpriseCa | None:
        """The CA that is prepared as the next generation, or None. An earlier one was given up: its host has ended."""
        coming = [number for number in self.numbers if number > self._slots.current]
        return self.open(coming[-1]) if coming else None

    @property
    def alive(self) -> list[EnterpriseCa]:
        """All CAs that are not retired. Their CRLs are kept up to date, and their certificates can be revoked."""
        return [self.open(number) for number in self.numbers if number not in self._slots.retired]

    def folder_of(self, number: int) -> Path:
        """Give the folder of a generation."""
        return self.folder if number == 1 else self.folder / str(number)

    def crl_base_of(self, number: int) -> str:
        """Give the URL for what a new generation publishes, below that of the first."""
        return f"{self.open(1).crl_base}/{number}"

    def open(self, number: int) -> EnterpriseCa:
        """Open one generation; raises `OperatorError` if it is incomplete."""
        return EnterpriseCa.open(self.folder_of(number))

    # The steps of a rotation

    def prepare(
        self, at: datetime, token: TokenUri | None = None, algorithm: KeyAlgorithm | None = None
    ) -> EnterpriseCa:
        """Make the next generation, and let the current root sign the cross-certificate for its issuing CA.

        The new generation issues nothing yet. If the root's key is kept elsewhere, request the cross-certificate
        (`sipmesh.pki.offline.root.OfflineRoot.request_cross`). A preparation that was interrupted before this signature is
        finished. Its keys are made in *token*, by default where the present keys are, with *algorithm*, by default that of the
        present keys. Raises `OperatorError` if a generation is prepared already.
        """
        now, coming = self.current, self.next
        if coming is not None and (self.is_vouched_for or not now.crls.has_key(CertificateKind.ROOT)):
            raise self._in_progress(coming)
        made = coming or self._made(self.unused(), at, token, algorithm)
        if now.crls.has_key(CertificateKind.ROOT):
            files.write(made.folder / CROSS, now.cross_certify(made, at))
        return made

    def must_be_free(self) -> None:
        """Raise `OperatorError` if a next generation is prepared."""
        if (coming := self.next) is not None:
            raise self._in_progress(coming)

    @staticmethod
    def _in_progress(coming: EnterpriseCa) -> OperatorError:
        remedy = "activate that root first: sipmesh ca root activate"
        problem = Problem(coming.folder, 0, "", "is prepared already", remedy)
        return OperatorError("another root rotation is in progress", (problem,))

    def unused(self) -> int:
        """Return the number for a new generation; another host may have made one, and have ended before it gave us the files."""
        return next(n for n in count(max(self.numbers) + 1) if not Ledger.is_used(self.folder_of(n)))

    def _made(self, number: int, at: datetime, token: TokenUri | None, algorithm: KeyAlgorithm | None) -> EnterpriseCa:
        now = self.current
        kinds = (CertificateKind.ROOT, CertificateKind.ISSUING)
        tokens = {kind: token or token_of(now.folder / f"{kind}.key") for kind in kinds}
        made = EnterpriseCa.create(
            self.folder_of(number),
            now.organisation,
            at,
            crl_base=self.crl_base_of(number),
            algorithm=algorithm or now.algorithm,
            generation=number,
            domains=device_domains(now.devices),
            tokens={kind: one for kind, one in tokens.items() if one is not None},
        )
        made.publish(is_on=now.is_published)
        return made

    def activate(self) -> EnterpriseCa:
        """Let the prepared generation issue from now on; raises `OperatorError` if it is not ready."""
        coming = self.next
        if coming is None:
            raise OperatorError("no new root is prepared; first: sipmesh ca root prepare")
        if not self.is_vouched_for:
            remedy = "get the cross-certificate from the present root: sipmesh ca root request cross FILE, then `sign` and `take`"
            problem = Problem(coming.folder / CROSS, 0, "", "is missing", remedy)
            raise OperatorError(
                "the present root has not signed the cross-certificate for the new issuing CA yet", (problem,)
            )
        number = int(coming.folder.name)
        self._write(replace(self._slots, current=number))
        return self.open(number)

    def switch(self) -> None:
        """Stop presenting the cross-certificate. Clients that trust only the old root refuse new certificates then."""
        if self.is_crossed:
            cross = self.current.folder / CROSS
            cross.rename(cross.with_name(CROSS_OVER))

    @property
    def is_vouched_for(self) -> bool:
        """Whether the prepared generation waits for nothing from the current root.

        The current root has signed the cross-certificate, or it is the root of the prepared generation too, or that of another
        organisation, which signs none.
        """
        now, coming = self.current, self.next
        if coming is None:
            return False
        return (
            (coming.folder / CROSS).exists()
            or not now.has_own_root
            or coming.root.public_key() == now.root.public_key()
        )

    @property
    def is_crossed(self) -> bool:
        """Whether servers present the cross-certificate."""
        return self.current.is_crossed

    def retire(self, number: int) -> None:
        """Stop the CRLs of a generation; raises `OperatorError` if it issues or is prepared."""
        if number >= self._slots.current:
            raise OperatorError(f"generation {number} is in use: generation {self._slots.current} issues")
        self._write(replace(self._slots, retired=self._slots.retired | {number}))

    @property
    def old(self) -> list[int]:
        """The numbers of the earlier generations that are not retired."""
        return [number for number in self.numbers if number < self.number and number not in self._slots.retired]

    # All generations together

    def reissue(self, at: datetime) -> list[Path]:
        """Sign and publish the CRLs that are due; returns their files."""
        return [file for ca in self.alive for file in ca.crls.reissue(at)]

    def publish(self, *, is_on: bool) -> None:
        """Let new certificates of all generations name our OCSP responder and their issuer, or not any more."""
        for ca in self.alive:
            ca.publish(is_on=is_on)

    @property
    def signed_last(self) -> datetime | None:
        """When the newest CRL of all generations was signed, or None."""
        return max((at for ca in self.alive if (at := ca.crls.signed_last) is not None), default=None)

    def has_issued(self, certificate: x509.Certificate) -> bool:
        """Tell whether one of our CAs for servers has signed a certificate, and its CRL on this host does not list it.

        A record in the ledger alone does not count: others may be able to write there.
        """
        return any(
            issued_by(certificate, ca.issuing) and not ca.crls.in_force().lists(certificate.serial_number)
            for ca in self.alive
        )

    def has_issued_device(self, certificate: x509.Certificate) -> bool:
        """Tell the same of a certificate for a device, and of our CAs for devices."""
        serial = certificate.serial_number
        return any(
            ca.devices is not None
            and issued_by(certificate, ca.devices)
            and not ca.crls.lists(CertificateKind.DEVICES, serial)
            for ca in self.alive
        )

    def has_signed(self, certificate: x509.Certificate) -> bool:
        """Tell whether one of our CAs for servers has signed a certificate, revoked or not."""
        return any(issued_by(certificate, ca.issuing) for ca in self.alive)

    def wait_for_issuing(self) -> None:
        """Wait until what is being issued now is in the ledger: it was allowed before, and may be the next to be revoked."""
        for ca in self.alive:
            with ca_lock(ca.folder):
                pass

    def records(self) -> list[Record]:
        """Give all certificates that were ever issued, by generation, without rows that were changed."""
        return [record for number in self.numbers for record in self.open(number).certificates]

    def changed_rows(self) -> list[Problem]:
        """Give a problem for each row of a ledger that was changed; generations that are retired do not count."""
        return [problem for ca in self.alive for problem in ca.records.changed_rows()]

    def as_issued(self, serials: Container[int]) -> dict[int, tuple[EnterpriseCa, Record]]:
        """Give the CA and the record of each of these serial numbers whose certificate a ledger has, as the CA has signed it."""
        return {
            record.serial: (ca, record)
            for ca in map(self.open, self.numbers)
            for record in ca.certificates
            if record.serial in serials and ca.records.is_as_issued(record)
        }

    def owner_of(self, serial: int) -> EnterpriseCa:
        """Give the CA whose ledger has a serial number; the current CA if there is none."""
        owners = (ca for ca in self.alive if any(record.serial == serial for record in ca.certificates))
        return next(owners, self.current)

    def revoke_servers(
        self, servers: Collection[str], reason: Reason, at: datetime, lost: Mapping[int, str] = NOTHING_LOST
    ) -> dict[int, str]:
        """Revoke all valid certificates of these servers in all generations; gives the serial numbers with their servers.

        *lost* are certificates that the ledger has lost. Raises `OperatorError`, after all generations, if a row was changed, and
        `UnrecordedRevocationError` if the ledger does not store the revocations.
        """
        found: dict[int, str] = {}
        unrecorded: list[UnrecordedRevocationError] = []
        for ca in self.alive:
            try:
                found |= ca.revoke_servers(servers, reason, at, lost)
            except UnrecordedRevocationError as wrong:
                unrecorded.append(wrong)
        if unrecorded:
            raise UnrecordedRevocationError([record for fault in unrecorded for record in fault.records], unrecorded[0])
        for ca in self.alive:
            ca.records.must_be_unchanged(servers)
        return found

    def _read(self) -> _Slots:
        file = self.folder / _SLOTS
        if not file.exists():
            return _Slots(1, frozenset())
        try:
            return read_document(_Slots, file.read_bytes())
        except (OSError, UnreadableJsonError) as wrong:
            problem = Problem(file, 0, "", f"cannot be read ({wrong})", "restore it from your backup")
            raise OperatorError("it is not known which CA issues", (problem,)) from None

    def _write(self, slots: _Slots) -> None:
        data = {"current": slots.current, "retired": sorted(slots.retired)}
        files.write(self.folder / _SLOTS, json.dumps(data).encode())
        self._slots = slots
