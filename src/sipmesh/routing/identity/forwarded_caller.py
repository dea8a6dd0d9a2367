"""Whose call a user of ours has forwarded: a front end tells it to a gateway, which bounds the calls of each caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.sip.fields import NameAddr

if TYPE_CHECKING:
    from collections.abc import Collection

    from sipmesh.sip.message import Request

CALLER: Final = "caller"
"""A parameter of our own, of the URI in the Diversion of a front end. No trunk gets it: a gateway replaces the URI."""


class ForwardedCaller(NamedTuple):
    """The *caller* of a forwarded call, and the *source* of the call, as hashes; both are "" if they are not told.

    The source is the trunk or the partner that has sent the call: it may show any caller. A user of ours is a source alone.
    """

    caller: str
    source: str

    @classmethod
    def of(cls, identity: str, domains: Collection[str]) -> ForwardedCaller:
        """Name the caller *identity*, as it is asserted: a SIP URI. *domains* are those of our users."""
        domain = identity.removeprefix("sip:").rpartition("@")[2]
        return cls(owner_hash(identity).hex(), owner_hash(identity if domain in domains else domain).hex())

    def param(self) -> str:
        """Write the parameter."""
        return f";{CALLER}={self.caller}.{self.source}"


def forwarded_caller(request: Request) -> ForwardedCaller | None:
    """Read whose call it is that a user of ours has forwarded; None if *request* was not forwarded.

    The last Diversion is that of the front end.
    """
    diversions = request.items("diversion") if request.has("diversion") else []
    if not diversions:
        return None
    try:
        address = NameAddr.parse(diversions[-1])
        told = address.sip_uri.param(CALLER) if address.is_sip else None
    except RemoteError:
        told = None
    caller, _, source = (told or "").partition(".")
    return ForwardedCaller(caller, source)
