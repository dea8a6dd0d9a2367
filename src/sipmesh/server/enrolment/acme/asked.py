"""A request of ACME that was verified, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sipmesh.server.enrolment.acme.jwk import Jwk
from sipmesh.server.enrolment.acme.jws import Jws
from sipmesh.server.enrolment.paths import ACME
from sipmesh.server.enrolment.problem import AcmeProblemError

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.storage.enrolment.acme_accounts import AcmeAccount

PEM_CHAIN: Final = "application/pem-certificate-chain"
OK, CREATED = 200, 201
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose signature, nonce and URL were verified: *key* has signed it, which is that of *account* if it has one.

    *base* is the URL of this server as the client calls it, and *last* the last part of the path. *at* is the time.
    """

    base: str
    url: str
    last: str
    jws: Jws
    key: Jwk
    account: AcmeAccount | None
    at: datetime

    def link(self, *parts: str) -> str:
        """Return the URL of a resource."""
        return "/".join((f"{self.base}{ACME}", *parts))

    @property
    def by(self) -> AcmeAccount:
        """The account that asks; raises `AcmeProblemError` if the request has its key in it instead."""
        if self.account is None:
            raise AcmeProblemError("malformed", "this request is signed with the key of an account, as kid", 400)
        return self.account

    @property
    def is_read(self) -> bool:
        """Whether it only reads (RFC 8555 6.3, POST-as-GET)."""
        return not self.jws.payload

    @property
    def members(self) -> Mapping[str, Any]:
        """The members of its payload; raises `AcmeProblemError`."""
        return self.jws.members()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: *body* is JSON, or the text of a file of the *media_type*. *then* is done in the loop afterwards."""

    body: Mapping[str, object] | str
    status: int = OK
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
    media_type: str = "application/json"
    then: Callable[[], object] | None = None
