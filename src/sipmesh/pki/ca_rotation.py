"""A CA that changes its root: the present generation, the one that comes, and those whose certificates are still about.

A generation is a whole CA in a folder of its own: the first in the CA's folder itself, the others in ``2``, ``3`` and so on
below it. The issuing CA of a new generation has two certificates with one key: one by its own root, and one by the root
before (the cross-certificate), so that who knows only the old root can still check what is issued. A server shows one of the two
and never both: the cross-certificate until everybody knows the new root.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.offline.cross_certificate import CROSS

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.crl.builder import Reason
    from sipmesh.pki.ledger import Record

_SLOTS = "generations.json"
CROSS_OVER = "issuing-cross.over.pem"


@dataclass(frozen=True, slots=True)
class _Slots:
    """Which generation issues, and which have been retired."""

    current: int = 1
    retired: frozenset[int] = frozenset()


class CaGenerations:
    """Every generation of the CA in *folder*; raises `OperatorError` where there is no whole CA."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._slots = self._read()

    def __repr__(self) -> str:
        return f"<CaGenerations in {self.folder}: {self._slots.current} of {self.numbers}>"

    @staticmethod
    def are_in(folder: Path) -> bool:
        """Whether there is a CA in *folder* at all."""
        return (folder / "ledger.db").is_file()

    @property
    def numbers(self) -> list[int]:
        """Every generation that was ever made."""
        below = (int(one.name) for one in self.folder.iterdir() if one.name.isdigit() and one.is_dir())
        return sorted({1, *below})

    @property
    def number(self) -> int:
        """The generation that issues."""
        return self._slots.current

    @property
    def current(self) -> EnterpriseCa:
        """The CA that issues."""
        return self.open(self._slots.current)

    @property
    def next(self) -> EnterpriseCa | None:
        """The CA that is prepared to take over; None if there is none."""
        coming = [number for number in self.numbers if number > self._slots.current]
        return self.open(coming[0]) if coming else None

    @property
    def alive(self) -> list[EnterpriseCa]:
        """Every CA that is not retired: their lists are kept young, and what they issued can be revoked."""
        return [self.open(number) for number in self.numbers if number not in self._slots.retired]

    def folder_of(self, number: int) -> Path:
        """Where a generation lies."""
        return self.folder if number == 1 else self.folder / str(number)

    def open(self, number: int) -> EnterpriseCa:
        """Open one generation; raises `OperatorError`."""
        return EnterpriseCa.open(self.folder_of(number))

    # The steps of a change

    def prepare(self, at: datetime) -> EnterpriseCa:
        """Make the next generation, and have its issuing CA certified by the present root as well.

        It issues nothing yet. Where the root's key is elsewhere, that certificate is still to be fetched
        (`EnterpriseCa.ask_for_cross`). Raises `OperatorError` where one is prepared already.
        """
        if self.next is not None:
            remedy = "activate that root first: sipmesh ca root activate"
            problem = Problem(self.next.folder, 0, "", "is prepared already", remedy)
            raise OperatorError("another root rotation is in progress", (problem,))
        number = max(self.numbers) + 1
        now = self.current
        made = EnterpriseCa.create(
            self.folder_of(number),
            now.organisation,
            at,
            crl_base=f"{now.crl_base}/{number}",
            generation=number,
        )
        if now.crls.has_key(CertificateKind.ROOT):
            files.write(made.folder / CROSS, now.cross_certify(made, at))
        return made

    def activate(self) -> EnterpriseCa:
        """Have the prepared generation issue from now on; raises `OperatorError` where there is none."""
        coming = self.next
        if coming is None:
            raise OperatorError("no new root is prepared; first: sipmesh ca root prepare")
        if not (coming.folder / CROSS).exists():
            remedy = "get the cross-certificate from the present root: sipmesh ca root request cross FILE, then `sign` and `take`"
            problem = Problem(coming.folder / CROSS, 0, "", "is missing", remedy)
            raise OperatorError(
                "the present root has not signed the cross-certificate for the new issuing CA yet", (problem,)
            )
        number = int(coming.folder.name)
        self._write(replace(self._slots, current=number))
        return self.open(number)

    def switch(self) -> None:
        """Show the issuing CA's certificate by its own root from now on; who knows only the old root is lost by that."""
        cross = self.current.folder / CROSS
        if cross.exists():
            cross.rename(cross.with_name(CROSS_OVER))

    @property
    def is_vouched_for(self) -> bool:
        """Whether the present root vouches for the issuing CA of the generation that is prepared."""
        coming = self.next
        return coming is not None and (coming.folder / CROSS).exists()

    @property
    def is_crossed(self) -> bool:
        """Whether the cross-certificate is what servers show."""
        return (self.current.folder / CROSS).exists()

    def retire(self, number: int) -> None:
        """Make no list of a generation any more; raises `OperatorError` for the one that issues."""
        if number >= self._slots.current:
            raise OperatorError(f"generation {number} is in use: generation {self._slots.current} issues")
        self._write(replace(self._slots, retired=self._slots.retired | {number}))

    @property
    def old(self) -> list[int]:
        """The generations before the present one that are not retired."""
        return [number for number in self.numbers if number < self.number and number not in self._slots.retired]

    # All of them together

    def reissue(self, at: datetime) -> list[Path]:
        """Make the lists that are due."""
        return [file for ca in self.alive for file in ca.crls.reissue(at)]

    @property
    def signed_last(self) -> datetime | None:
        """When the newest list of any of them was signed."""
        return max((at for ca in self.alive if (at := ca.crls.signed_last) is not None), default=None)

    def records(self) -> list[Record]:
        """Everything that was ever issued, by generation."""
        return [record for number in self.numbers for record in self.open(number).certificates]

    def owner_of(self, serial: int) -> EnterpriseCa:
        """The CA whose ledger has a serial; the present one where none has."""
        held = (ca for ca in self.alive if any(record.serial == serial for record in ca.certificates))
        return next(held, self.current)

    def revoke_servers(self, servers: Collection[str], reason: Reason, at: datetime) -> dict[int, str]:
        """Revoke every valid certificate of these servers, whoever issued it; gives the serials, each with its server."""
        found: dict[int, str] = {}
        for ca in self.alive:
            found |= ca.revoke_servers(servers, reason, at)
        return found

    def _read(self) -> _Slots:
        file = self.folder / _SLOTS
        if not file.exists():
            return _Slots()
        try:
            told = json.loads(file.read_bytes())
            return _Slots(int(told["current"]), frozenset(map(int, told["retired"])))
        except (OSError, ValueError, KeyError, TypeError) as wrong:
            problem = Problem(file, 0, "", f"cannot be read ({wrong})", "restore it from your backup")
            raise OperatorError("it is not known which CA issues", (problem,)) from None

    def _write(self, slots: _Slots) -> None:
        told = {"current": slots.current, "retired": sorted(slots.retired)}
        files.write(self.folder / _SLOTS, json.dumps(told).encode())
        self._slots = slots
