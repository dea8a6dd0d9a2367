"""The inventory of a whole network: what the CA has issued, what is on disk, and what running servers use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.status import CertificateState, newest_devices
from sipmesh.server.certificates.expiring_files import on_disk, signers_on_disk
from sipmesh.topology.expiry.inventory import LEDGER, take_stock
from sipmesh.topology.expiry.validity import Chain, DatedItem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.status import CertificateStatus
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.expiry.inventory import Inventory, Side
    from sipmesh.topology.expiry.server_use import Use


def network_inventory(loaded: Loaded, ca: Path, uses: Iterable[Use], at: datetime) -> Inventory:
    """List everything that expires. *ca* is the folder of the CA, which may be missing; *uses* are reports of running servers.

    *at* is the instant, with a time zone. Raises `OperatorError` if the CA cannot be read.
    """
    issued, signers, known = _issued(ca, at)
    devices = _devices(ca, at)
    disk, signers = {**issued, **on_disk(loaded)}, {**signers, **signers_on_disk(loaded)}
    return take_stock(loaded, disk, uses, at=at, known=known, signers=signers, devices=devices)


def _issued(folder: Path, at: datetime) -> tuple[dict[Side, Chain], dict[str, Chain], list[DatedItem]]:
    """Return the newest certificate of each server and signer in the ledger, and the issuing CA; empty without a CA."""
    if not CaGenerations.are_in(folder):
        return {}, {}, []
    ca = CaGenerations(folder).current
    issuing, status = DatedItem.of_certificate(ca.issuing), ca.status(at)
    servers = {(name, False): chain for name, chain in _newest(status.servers, issuing).items()}
    return servers, _newest(status.signers, issuing), [issuing]


def _devices(folder: Path, at: datetime) -> dict[str, Chain]:
    """Return the newest valid certificate of each device, by the names of user and device; empty without a CA."""
    found: dict[str, Chain] = {}
    for ca in CaGenerations(folder).alive if CaGenerations.are_in(folder) else ():
        above = (DatedItem.of_certificate(ca.devices),) if ca.devices is not None else ()
        for record in newest_devices(ca.certificates, at):
            leaf = x509.load_der_x509_certificate(record.der or b"")
            found[" ".join(record.names)] = Chain(LEDGER, (DatedItem.of_certificate(leaf), *above))
    return found


def _newest(issued: Iterable[CertificateStatus], issuing: DatedItem) -> dict[str, Chain]:
    """Return the last certificate of each name that was not revoked."""
    return {
        status.record.names[0]: Chain(
            LEDGER, (DatedItem.of_certificate(x509.load_der_x509_certificate(status.record.der)), issuing)
        )
        for status in issued
        if status.record.der and status.record.names and status.state is not CertificateState.REVOKED
    }
