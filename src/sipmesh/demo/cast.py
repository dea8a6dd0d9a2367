"""The CAs of the impostors: those that the network trusts, each for its scope, and a CA that no server trusts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from sipmesh.demo.forge import CLIENT_AUTH, Forge, Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.trust.x509.device_identity import DEVICE_POLICY


@dataclass(frozen=True, slots=True)
class Cast:
    """The issuing CA of each organisation with its stolen key, a CA that no server trusts, and our device issuing CA."""

    forge: Forge
    ours: Forged
    partner: Forged
    other: Forged
    stranger: Forged
    devices: Forged

    @classmethod
    def of(cls, ours: Organisation, partner: Organisation, other: Forged) -> Cast:
        """Return the keys of two organisations and of *other*, a second partner that exists only as a CA."""
        forge = Forge(datetime.now(UTC))
        stranger = forge.organisation("stranger.test")
        return cls(forge, stolen(ours), stolen(partner), other, stranger, stolen_devices(ours, forge))


def stolen(organisation: Organisation, name: str = "issuing") -> Forged:
    """Return a CA of an organisation below its root, with its key."""
    folder = organisation.folder / "ca"
    root = Forged.read(folder / "root.pem", folder / "root.key")
    return Forged.read(folder / f"{name}.pem", folder / f"{name}.key", root)


def stolen_devices(organisation: Organisation, forge: Forge) -> Forged:
    """Return the device issuing CA of an organisation with its key; a forged one if the organisation has none."""
    if (organisation.folder / "ca" / "devices.pem").exists():
        return stolen(organisation, "devices")
    root = Forged.read(organisation.folder / "ca" / "root.pem", organisation.folder / "ca" / "root.key")
    return device_authority(forge, root, organisation.domain)


def device_authority(forge: Forge, root: Forged, domain: str, **changes: Any) -> Forged:
    """Return a CA with the constraints of the device issuing CA, which *root* has signed, with *changes*."""
    marked = x509.CertificatePolicies([x509.PolicyInformation(DEVICE_POLICY, None)])
    limits = (x509.DNSName(domain),)
    return forge.authority("Device CA", root, usages=(CLIENT_AUTH,), extra=(marked,), permitted=limits, **changes)


def write_partner_ca(forge: Forge, folder: Path, name: str, **changes: Any) -> tuple[Forged, dict[str, object]]:
    """Make a partner that exists only as a CA; return its issuing CA, and its anchors and CRLs as topology keys.

    *changes* apply to the issuing CA.
    """
    issuing = forge.organisation(name, **changes)
    root = issuing.issuer
    if root is None:
        raise ValueError(f"{issuing!r} has no root")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "root.pem").write_bytes(root.pem_chain)
    (folder / "root.crl").write_bytes(forge.revocations(root))
    (folder / "issuing.crl").write_bytes(forge.revocations(issuing))
    lists = [str(folder / "root.crl"), str(folder / "issuing.crl")]
    return issuing, {"anchors": [str(folder / "root.pem")], "crls": lists}
