"""What an OpenID provider says of itself (OpenID Connect Discovery 1.0 section 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

from sipmesh.errors import SipmeshError

WELL_KNOWN: Final = "/.well-known/openid-configuration"
LONGEST_URL: Final = 2048
_URL: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)


class OpenIdError(SipmeshError):
    """The provider, or who pretends to be the provider, has answered in a way that permits no log-in; the text says why."""


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The URLs of a provider; *names_itself* says that its answers to browsers have ``iss`` (RFC 9207).

    *introspection_endpoint* is empty if it has none (RFC 8414 section 2).
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool
    introspection_endpoint: str = ""

    @classmethod
    def read(cls, document: Mapping[str, Any], issuer: str) -> Self:
        """Read the document of the provider *issuer*; raises `OpenIdError`.

        The issuer in it must be the issuer that was asked, to the letter (Discovery section 4.3). Each URL needs https.
        """
        if document.get("issuer") != issuer:
            raise OpenIdError(
                f"the provider says that it is {document.get('issuer')!r}, and the topology has {issuer!r}"
            )
        names_itself = document.get("authorization_response_iss_parameter_supported") is True
        authorization, token = _https(document, "authorization_endpoint"), _https(document, "token_endpoint")
        name = "introspection_endpoint"
        introspection = _https(document, name) if name in document else ""
        return cls(issuer, authorization, token, _https(document, "jwks_uri"), names_itself, introspection)


def _https(document: Mapping[str, Any], name: str) -> str:
    url = document.get(name)
    if not isinstance(url, str) or len(url) > LONGEST_URL or not _URL.fullmatch(url):
        raise OpenIdError(f"the provider has no usable {name}")
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.fragment:
        raise OpenIdError(f"the {name} of the provider is not an https URL")
    return url
