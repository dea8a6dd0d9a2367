"""Which media policy holds for a message: that of the partner, or of the domains of both users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.alias import OwnerOf, nobody
from sipmesh.routing.identity.dialog import host_of
from sipmesh.routing.identity.privacy import ANONYMOUS
from sipmesh.sip.uri import SipUri
from sipmesh.topology.document.media_policy import MediaPolicy, is_weaker, strictest

if TYPE_CHECKING:
    from sipmesh.sip.message import Request

NO_HOST: Final = ""


@dataclass(frozen=True, slots=True)
class MediaRules:
    """The media policies of one topology.

    *domains* has the policy of each SIP domain of ours, *partners* that of each domain of a partner. *links* has the policy
    of each name that a partner may prove on a link. *most* is the strictest policy of our domains; it holds for other hosts.
    *owner_of* finds the user of an alias: a name in one domain may be an alias of a user of another one.
    """

    domains: Mapping[str, MediaPolicy]
    partners: Mapping[str, MediaPolicy]
    links: Mapping[str, MediaPolicy]
    owner_of: OwnerOf = nobody
    most: MediaPolicy = field(init=False)
    differ: bool = field(init=False)

    def __post_init__(self) -> None:
        policies = [*self.domains.values(), *self.partners.values()]
        object.__setattr__(self, "most", strictest(list(self.domains.values())))
        object.__setattr__(self, "differ", any(policy is not self.most for policy in policies))

    def policy(self, request: Request, identity: str | None, partner: str | None, hidden: str = "") -> MediaPolicy:
        """Give the policy for *request*, its responses and its ACK. *partner* is the name that a link has proved, or None.

        An edge knows the partner by its link, and its policy holds. A front end goes by the names: of *identity*, which was
        proved, From and To, which the dialog token holds, and outside a dialog the Request-URI. The policy of a partner
        comes before that of our own domains, and the strictest one holds of several. *hidden* is the user whom an anonymous To
        hides inside a dialog, "" if it is not known: then the strictest policy of our domains counts for that side.
        """
        if partner is not None:
            return self.links.get(partner, self.most)
        if not self.differ:
            return self.most
        hosts = self._hosts(request, identity, hidden)
        theirs = [self.partners[host] for host in hosts if host in self.partners]
        return strictest(theirs or [self.domains.get(host, self.most) for host in hosts])

    def misleads(self, request: Request, *, by_client: bool) -> bool:
        """Tell whether To of a request outside a dialog has a weaker policy than its Request-URI.

        Inside the dialog, only To names the callee. So a To of another domain would weaken the policy of the call. A client may
        address a registered Contact, whose host has no policy: then the strictest one holds.
        """
        if not self.differ or request.to.tag is not None:
            return False
        asked = self._of(self._domain_of(request.uri)) or (self.most if by_client else None)
        named = self._of(self._domain_of(request.to.uri)) or self.most
        return asked is not None and is_weaker(named, asked)

    def _hosts(self, request: Request, identity: str | None, hidden: str) -> list[str]:
        """Give the host of each side. An anonymous name counts as another host, unless it is known who it is."""
        sender, called = self._domain_of(request.from_.uri), self._domain_of(request.to.uri)
        asked = self._domain_of(request.uri) if request.to.tag is None else NO_HOST
        if identity is not None and sender == ANONYMOUS:
            sender = host_of(identity)
        if called == ANONYMOUS and (hidden or self._of(asked) is not None):
            called = host_of(hidden) or asked
        hosts = [sender, called, *([host_of(identity)] if identity is not None else [])]
        return [*hosts, asked] if self._of(asked) is not None else hosts

    def _domain_of(self, uri: str) -> str:
        """Give the domain of the user whose name *uri* is, and the host of *uri* if no user has it."""
        host = host_of(uri)
        if host not in self.domains:
            return host
        return host_of(self.owner_of(SipUri.parse(uri).aor)) or host

    def _of(self, host: str) -> MediaPolicy | None:
        return self.domains.get(host) or self.partners.get(host)
