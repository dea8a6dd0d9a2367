"""The certificates that must exist before a draft is published: which servers lack a name, and who issues."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.topology.view import certificate_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.ledger.records import Record
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.server import Server


class IssuedBy(StrEnum):
    """Who gets a certificate, and how."""

    APPLY = "apply"
    """`sipmesh topology apply` issues it: the server runs on this machine."""
    RENEWAL = "renewal"
    """The server gets it with its next renewal, or sooner by a new request: its key is on another machine."""
    JOIN = "join"
    """An operator makes a request on its machine: the server is new."""


_HOW: Final = {
    IssuedBy.APPLY: "`sipmesh topology apply` issues it ({})",
    IssuedBy.RENEWAL: "it gets a new one with its next renewal; sooner, on its machine: {}",
    IssuedBy.JOIN: "on its machine: {}",
}


@dataclass(frozen=True, slots=True)
class CertificateNeed:
    """A server whose certificate does not fit the draft; *why* says what it lacks, *command* what an operator types."""

    server: str
    why: str
    by: IssuedBy
    command: str = ""

    def __str__(self) -> str:
        return f"{self.server} {self.why}: {_HOW[self.by].format(self.command)}"


def certificate_needs(loaded: Loaded, generations: CaGenerations | None, at: datetime) -> Iterator[CertificateNeed]:
    """Yield the servers of a draft that need a certificate; *generations* is None on a machine without the CA."""
    newest = _newest(generations, at) if generations is not None else {}
    for server in loaded.topology.servers:
        record = newest.get(server.name)
        why = _lack(loaded, server.name, record)
        if why:
            yield _need(loaded, server, why, known=record is not None)


def _newest(generations: CaGenerations, at: datetime) -> Mapping[str, Record]:
    """Return the valid certificate of each server that was issued last."""
    found: dict[str, Record] = {}
    for record in generations.records():
        valid = record.der is not None and record.revoked_at is None and record.not_after > at
        if valid and record.kind == CertificateKind.SERVER and record.names:
            name = record.names[0]
            if name not in found or found[name].not_before <= record.not_before:
                found[name] = record
    return found


def _lack(loaded: Loaded, name: str, record: Record | None) -> str:
    if record is None:
        return "has no valid certificate"
    missing = [wanted for wanted in certificate_names(loaded.topology, name) if wanted not in record.names]
    return f"its certificate lacks {', '.join(missing)}" if missing else ""


def _need(loaded: Loaded, server: Server, why: str, *, known: bool) -> CertificateNeed:
    if (loaded.folder / server.key_file).exists() or (not known and is_of_this_machine(server.address)):
        return CertificateNeed(server.name, why, IssuedBy.APPLY, f"sipmesh ca issue {server.name}")
    by = IssuedBy.RENEWAL if known else IssuedBy.JOIN
    return CertificateNeed(server.name, why, by, f"sipmesh join request {server.name}")


def is_of_this_machine(address: str | None) -> bool:
    """Tell whether this machine has the IP *address*; False for a server that is found by DNS."""
    if not address:
        return False
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
