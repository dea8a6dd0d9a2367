"""Operators with keys of OpenSSH, and what they sign."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipmesh.server.management.publishing.approvals import FOLDER
from sipmesh.topology.document.operators.sshsig import armoured, sign
from sipmesh.topology.versions.approval import NAMESPACE, Proposal
from sipmesh.topology.versions.publication import Draft
from support.managed import Managed


@dataclass
class Approver:
    """One operator, with a key."""

    name: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def entry(self) -> dict[str, str]:
        """The operator as the topology names it."""
        line = self.key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        return {"name": self.name, "key": line}

    def signs(self, octets: bytes, namespace: str = NAMESPACE) -> bytes:
        """Sign."""
        return sign(octets, namespace, self.key)


def rule(*operators: Approver, publish: int = 2, **more: Any) -> dict[str, Any]:
    """The part `approvals` of a topology."""
    return {"publish": publish, "operators": [operator.entry for operator in operators], **more}


def drafted(network: Managed, serial: int) -> Proposal:
    """What operators sign for the draft."""
    draft = Draft.read(network.organisation.file.read_bytes(), network.organisation.file)
    return Proposal(draft.loaded.topology.organisation, serial, draft.topology, draft.files)


def approve(network: Managed, serial: int, *operators: Approver) -> None:
    """Put the signatures of operators under the draft into the folder of management."""
    put(network.organisation.folder, drafted(network, serial), *operators)


def put(folder: Path, proposal: Proposal, *operators: Approver) -> None:
    """Put the signatures of operators under a proposal into the folder of management."""
    (folder / FOLDER).mkdir(exist_ok=True)
    for operator in operators:
        file = folder / FOLDER / f"{proposal.serial}-{operator.name}.sig"
        file.write_text(armoured(operator.signs(proposal.encode())))
