"""The CA of a directory: certificates of its servers, valid and wrong, with CRLs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import SERVER_AUTH, Forge, Forged, Wish

HOST = "dc1.corp.test"


@dataclass(frozen=True)
class DirectoryCa:
    """A root and an issuing CA; `write` puts the root and the CRLs where a topology names them."""

    forge: Forge = field(default_factory=lambda: Forge(datetime.now(UTC)))
    issuing: Forged = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "issuing", self.forge.organisation("Corp"))

    def server(self, *names: str, **changes: Any) -> Forged:
        """Give the certificate of a server of the directory."""
        return self.forge.forge(Wish(names[0], dns=names, usages=(SERVER_AUTH,)), self.issuing, **changes)

    def write(self, folder: Path, *revoked: Forged, ends: timedelta = timedelta(days=7)) -> dict[str, list[str]]:
        """Write the root and the CRLs below *folder*; gives the keys of ``directory`` that name them."""
        anchors = folder / "anchors"
        anchors.mkdir(exist_ok=True)
        root = self.issuing.issuer
        assert root is not None
        (anchors / "corp.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
        (anchors / "corp-root.crl").write_bytes(self.forge.revocations(root))
        (anchors / "corp.crl").write_bytes(self.forge.revocations(self.issuing, revoked, ends=ends))
        return {"anchors": ["anchors/corp.pem"], "crls": ["anchors/corp-root.crl", "anchors/corp.crl"]}
