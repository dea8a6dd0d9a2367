"""The operators who must approve what is published."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sipmesh.topology.document.parts.console import OperatorName
from sipmesh.topology.document.parts.part import Part

MOST_APPROVERS = 50
SshKey = Annotated[
    str,
    StringConstraints(max_length=1000, pattern=r"^(ssh-ed25519|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/]+=*( .*)?$"),
]


class ApprovingOperator(Part):
    """An operator whose signature counts as an approval."""

    name: OperatorName = Field(description="name of the operator")
    key: SshKey = Field(description="public key in the form of OpenSSH: ssh-ed25519, or of a FIDO token")


class Approvals(Part):
    """Servers load a new content only with the signatures of operators, beside the signature of management."""

    publish: int = Field(ge=1, le=MOST_APPROVERS, description="how many operators must approve a version")
    block: int | None = Field(
        default=None,
        ge=1,
        le=MOST_APPROVERS,
        description="how many for a version that only blocks; by default the same",
    )
    operators: tuple[ApprovingOperator, ...] = Field(
        min_length=1, max_length=MOST_APPROVERS, description="the operators whose approval counts"
    )
