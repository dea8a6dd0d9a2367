"""Which public CA may issue for our names, and for which of its accounts (RFC 8659, RFC 8657)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sipmesh.topology.document.names import Fqdn, HttpUrl
from sipmesh.topology.document.parts.part import Part


def _account(text: str) -> str:
    """Check the URI of an account: it must not end the value of the record, or begin another parameter (RFC 8657 3)."""
    if any(sign in text for sign in '";\\\\'):
        raise ValueError('has a sign that a CAA record cannot have: copy the "kid" of the ACME account')
    return text


class CaaEntry(Part):
    """One account at a public CA."""

    issuer: Fqdn = Field(description="the name of the CA in CAA records, such as letsencrypt.org")
    account: Annotated[HttpUrl, AfterValidator(_account)] = Field(
        description="the URI of our ACME account there: the CA issues for no other"
    )
    methods: tuple[Literal["http-01", "dns-01", "tls-alpn-01"], ...] = Field(
        default=(), description="the ACME challenges by which the CA may validate; by default any"
    )

    @property
    def data(self) -> str:
        """The data of a CAA record with the property issue, in the text form of zone files."""
        methods = f"; validationmethods={','.join(self.methods)}" if self.methods else ""
        return f'0 issue "{self.issuer}; accounturi={self.account}{methods}"'
