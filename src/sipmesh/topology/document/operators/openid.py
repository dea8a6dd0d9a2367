"""The OpenID provider of the console in the document: who it is, and which of its claims leads to which role."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sipmesh.topology.document.operators.console_role import ConsoleRole

MOST_ROLES: Final = 50
MOST_SCOPES: Final = 10

Issuer = Annotated[
    str, StringConstraints(pattern=r"^https://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~%/\-]*)?$", max_length=512)
]
Word = Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,128}$")]  # RFC 6749 section 3.3
Value = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class OpenIdAuthority(StrEnum):
    """Which authorities may have issued the certificate of the provider."""

    PUBLIC = "public"  # those that the machine of management trusts
    ENTERPRISE = "enterprise"  # the enterprise CA alone


class OpenIdRole(BaseModel):
    """One value of the claim, and the role of operators who have it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Value = Field(description="a value of the claim, such as the name of a group")
    role: ConsoleRole = Field(description="what these operators may do: viewer, operator or security-officer")


class OpenId(BaseModel):
    """An OpenID provider, by which operators log in to the console."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Issuer = Field(description="URL of the provider, exactly as its ID tokens have it in `iss`")
    client_id: Word = Field(description="name of the console at the provider, a public client with PKCE")
    roles: tuple[OpenIdRole, ...] = Field(
        min_length=1, max_length=MOST_ROLES, description="which values lead to which role; the highest role counts"
    )
    claim: Word = Field(default="groups", description="claim of the ID token whose values lead to roles")
    name_claim: Word = Field(
        default="sub", description="claim with the name for the audit log, which a person must not be able to change"
    )
    scopes: tuple[Word, ...] = Field(
        default=("profile",), max_length=MOST_SCOPES, description="scopes to ask for, beside openid"
    )
    authority: OpenIdAuthority = Field(
        default=OpenIdAuthority.PUBLIC,
        description="who may have issued the provider's certificate: public, or enterprise for the enterprise CA alone",
    )

    def role_of(self, values: frozenset[str]) -> ConsoleRole | None:
        """Give the highest role that *values* lead to, None if they lead to none."""
        order = list(ConsoleRole)
        return max((role.role for role in self.roles if role.value in values), key=order.index, default=None)
