"""When the first server fails if nothing is renewed any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.trust.formatting import tell_list, tell_span, tell_time

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.topology.expiry.server_use import Use
    from sipmesh.topology.expiry.validity import Chain, DatedItem

_END: Final = "the end of "
_CRL: Final = "the CRL of "


@dataclass(frozen=True, slots=True)
class Countdown:
    """The first server that fails without renewals, and *because* of which expiry. *others* fail at the same time."""

    server: str
    ends: datetime
    because: str
    others: tuple[str, ...] = ()

    def sentence(self, at: datetime) -> str:
        """Give the countdown in one sentence."""
        left = self.ends - at
        when = f"stopped {tell_span(left)}" if left.total_seconds() < 0 else f"stops first, in {tell_span(left)}"
        others = f" At the same time: {tell_list(self.others)}." if self.others else ""
        ends = f"({tell_time(self.ends)}), when {self.because} expires"
        return f"If the CA renews nothing any more, {self.server} {when} {ends}.{others}"


@dataclass(frozen=True, slots=True)
class ExpectedRefusal:
    """From when on a server refuses and is refused without renewals, and *because* of which expiry.

    *at* is None if that is so already.
    """

    at: datetime | None
    because: str


def refuses_from(use: Use) -> ExpectedRefusal:
    """Give the instant from which a server will refuse peers, only by what it uses.

    It is the first expiry of its certificate, of the CAs above it, and of the newest CRL of each CA. Existing links stay up until
    a certificate expires (rule R7). CRLs of partners are not included, because they affect one partner only.
    """
    chain = use.shown.get(False)
    if chain is None or not chain.certificates:
        return ExpectedRefusal(None, "it presents no certificate")
    ends = [
        (item.ends, "its certificate" if n == 0 else f"the issuing CA {item.subject}") for n, item in _numbered(chain)
    ]
    for issuer in dict.fromkeys(item.issuer for item in chain.certificates):
        anchors = [item.ends for item in use.anchors if item.subject == issuer]
        ends += [(max(anchors), f"the root {issuer}")] if anchors else []
        lists = [item.ends for item in use.lists if item.subject == issuer]
        if not lists:
            return ExpectedRefusal(None, f"there is no CRL of {issuer}")
        ends.append((max(lists), f"{_CRL}{issuer}"))
    at, because = min(ends, key=lambda end: end[0])
    return ExpectedRefusal(at, f"{_END}{because}")


def is_end_of_crl(because: str) -> bool:
    """Tell whether an `ExpectedRefusal` says that a CRL expires."""
    return because.startswith(_END + _CRL)


def _numbered(chain: Chain) -> Iterator[tuple[int, DatedItem]]:
    """Give the certificates of a chain without a root in it: roots are handled as anchors."""
    return ((n, item) for n, item in enumerate(chain.certificates) if n == 0 or item.subject != item.issuer)
