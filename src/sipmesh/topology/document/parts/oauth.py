"""The OpenID provider whose access tokens let users log in at client ports."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from sipmesh.topology.document.names import SecretFile
from sipmesh.topology.document.operators.openid import MOST_SCOPES, Issuer, OpenIdAuthority, Value, Word
from sipmesh.topology.document.parts.part import Part

Resource = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*:[\x21\x23-\x5b\x5d-\x7e]+$", max_length=512)]
"""An absolute URI."""


class Introspection(Part):
    """How servers ask the provider whether a token counts still (RFC 7662)."""

    client_id: Word = Field(description="name of our servers at the provider, a confidential client")
    secret_file: SecretFile = Field(description="file on each front end with the secret of this client, mode 0600")


PORTAL: Final = "/portal"
"""The path of the portal."""


class PhoneClient(Part):
    """The web phone as a client of the provider: its users sign in there, with PKCE and without a password of ours."""

    client_id: Word = Field(description="name of the web phone at the provider, a public client with PKCE")
    scopes: tuple[Word, ...] = Field(
        default=(), max_length=MOST_SCOPES, description="scopes to ask for beside openid, such as offline_access"
    )
    resource: Resource | None = Field(
        default=None, description="URI to ask tokens for (RFC 8707), if the provider does not know it by the scopes"
    )


class PortalClient(Part):
    """The portal of the users as a client of the provider, on the port of `invitations`."""

    client_id: Word = Field(description="name of the portal at the provider, a public client with PKCE")
    scopes: tuple[Word, ...] = Field(
        default=(), max_length=MOST_SCOPES, description="scopes to ask for beside openid, if `claim` needs any"
    )


class OAuth(Part):
    """The logins of users by access tokens (RFC 8898)."""

    issuer: Issuer = Field(description="URL of the provider, exactly as its tokens have it in `iss`")
    audience: Value = Field(
        description="what `aud` of its access tokens for SIP has; no client of the provider has this name"
    )
    claim: Word = Field(
        default="sub",
        description="claim of the access token with the address of the user, which a person must not be able to change; "
        "with one SIP domain, the user part is enough",
    )
    authority: OpenIdAuthority = Field(
        default=OpenIdAuthority.PUBLIC,
        description="who may have issued the provider's certificate: public, or enterprise for the enterprise CA alone",
    )
    web_phone: PhoneClient | None = Field(
        default=None, description="users sign in to the web phone by the provider; by default they type a password"
    )
    portal: PortalClient | None = Field(
        default=None, description="users see and change their own account on the pages of `invitations`; by default not"
    )
    introspection: Introspection | None = Field(
        default=None,
        description="ask the provider for each login, and again every 30 s; by default a token counts until it expires",
    )
