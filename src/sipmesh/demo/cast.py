"""The CAs of the impostors: those that the network trusts, each for its scope, and a CA that no server trusts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.organisation import Organisation


@dataclass(frozen=True, slots=True)
class Cast:
    """The issuing CA of each organisation with its stolen key, and a CA that no server trusts."""

    forge: Forge
    ours: Forged
    partner: Forged
    other: Forged
    stranger: Forged

    @classmethod
    def of(cls, ours: Organisation, partner: Organisation, other: Forged) -> Cast:
        """Return the keys of two organisations and of *other*, a second partner that exists only as a CA."""
        forge = Forge(datetime.now(UTC))
        stranger = forge.organisation("stranger.test")
        return cls(forge, stolen(ours), stolen(partner), other, stranger)


def stolen(organisation: Organisation) -> Forged:
    """Return the issuing CA of an organisation, with its key."""
    folder = organisation.folder / "ca"
    root = Forged.read(folder / "root.pem", folder / "root.key")
    return Forged.read(folder / "issuing.pem", folder / "issuing.key", root)


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
