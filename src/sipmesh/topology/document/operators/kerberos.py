"""Kerberos log-ins of the console in the document: the service of the console, and which principal has which role."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sipmesh.topology.document.names import SecretFile
from sipmesh.topology.document.operators.console_role import ConsoleRole

MOST_PRINCIPALS: Final = 100

Realm = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9.-]{0,254}$")]
Principal = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[A-Z0-9][A-Z0-9.-]{0,254}$")]
"""A person with the realm (userPrincipalName); a name with a slash is a service, and no operator."""


MachinePrincipal = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\$@[A-Z0-9][A-Z0-9.-]{0,254}$")
]
"""The account of a computer in a domain, with the realm."""


class KerberosRole(BaseModel):
    """One person, and the role that the person has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    principal: Principal = Field(description="name and realm (userPrincipalName), such as ada@CORP.EXAMPLE.COM")
    role: ConsoleRole = Field(description="what this operator may do: viewer, operator or security-officer")


class Kerberos(BaseModel):
    """The realm whose tickets log operators in to the console."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    realm: Realm = Field(description="the realm, in capitals; tickets of persons of other realms are refused")
    keytab: SecretFile = Field(description="keytab of the service HTTP/NAME of this management server, mode 0600")
    roles: tuple[KerberosRole, ...] = Field(
        min_length=1, max_length=MOST_PRINCIPALS, description="who may log in, each as what; groups lead to no role"
    )

    def role_of(self, principal: str) -> ConsoleRole | None:
        """Give the role of *principal*, None for a person who may not log in; of several rows, the first one counts."""
        return next((one.role for one in self.roles if one.principal == principal), None)
