"""The web console, and who may use it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sipmesh.topology.document.names import (
    ListenOn,
)
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.operators.kerberos import Kerberos
from sipmesh.topology.document.operators.openid import OpenId
from sipmesh.topology.document.parts.enrolment import Enrolment
from sipmesh.topology.document.parts.part import Part

MOST_OPERATORS = 100
OperatorName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ConsoleOperator(Part):
    """An operator who logs in with a certificate, or a program that uses the HTTP API with a token."""

    name: OperatorName = Field(description="name of the operator, as the audit log shows it")
    role: ConsoleRole = Field(description="what the operator may do: viewer, operator or security-officer")
    token_sha256: Sha256 | None = Field(
        default=None, description="SHA-256 of the operator's token, in hex; `sipmesh console token` makes both"
    )


class Console(Part):
    """The web console and the HTTP API of the management server."""

    listen: ListenOn = Field(description="address:port to listen on by HTTPS, or a port on loopback")
    operators: tuple[ConsoleOperator, ...] = Field(
        default=(), max_length=MOST_OPERATORS, description="who may use the console and its HTTP API, and as what"
    )
    client_certificates: bool = Field(
        default=False,
        description="ask browsers and programs for a certificate of an operator (`sipmesh console certificate`)",
    )
    openid: OpenId | None = Field(
        default=None, description="OpenID provider by which operators log in; by default there is none"
    )

    kerberos: Kerberos | None = Field(
        default=None, description="Kerberos realm by whose tickets operators log in; by default there is none"
    )

    enrolment: Enrolment | None = Field(
        default=None, description="servers get certificates by EST or ACME over this port; by default they do not"
    )

    @property
    def changes_drafts(self) -> bool:
        """Whether an operator may change the draft through the console or its API."""
        roles = [operator.role for operator in self.operators]
        roles += [one.role for one in self.openid.roles] if self.openid is not None else []
        roles += [one.role for one in self.kerberos.roles] if self.kerberos is not None else []
        return any(role.may(ConsoleRole.OPERATOR) for role in roles)
