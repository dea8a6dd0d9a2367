"""What an operator gives to a user: the link of an invitation, its QR code, and the fingerprint of our root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.server.provisioning.client_kind import DESK_PHONES, ClientKind
from sipmesh.server.provisioning.desk_phones import provisioning_url
from sipmesh.server.provisioning.fingerprint import hex_fingerprint, word_fingerprint
from sipmesh.topology.document.parts.oauth import PORTAL

if TYPE_CHECKING:
    from sipmesh.storage.users.invitation import Invitation
    from sipmesh.topology.view import ServerView

PORTAL_BY_LINK: Final = f"{PORTAL}/login/link"
NO_PAGES: Final = (
    "the topology has no pages for invitations; add `invitations: {listen: 0.0.0.0:8445}`, and publish, so that devices "
    "can take them"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """The *link* of an invitation is shown once: we store its hash only. *fingerprints* are those of our roots."""

    user: str
    invitation: str
    device: str
    expires: datetime
    link: str
    fingerprints: Sequence[str]
    words: Sequence[str]


def letter_of(view: ServerView, invitation: Invitation, token: str) -> Letter:
    """Return the letter of an *invitation* with its *token*; raises `OperatorError` without pages that take it."""
    must_have_pages(view)
    roots = view.loaded.authority.anchors
    base = f"https://{view.invitation_host}"
    link = f"{base}/i/{token}"
    if invitation.opens_portal:
        link = f"{base}{PORTAL_BY_LINK}#{token}"  # a browser sends no fragment
    elif invitation.client in DESK_PHONES:
        link = provisioning_url(ClientKind(invitation.client), f"{base}/d/{token}/")
    return Letter(
        invitation.aor.removeprefix("sip:"),
        invitation.id,
        invitation.device,
        invitation.expires,
        link,
        tuple(map(hex_fingerprint, roots)),
        tuple(map(word_fingerprint, roots)),
    )


def must_have_pages(view: ServerView) -> None:
    """Raise `OperatorError` if the topology in force has no pages that take invitations."""
    if not view.invitation_host:
        raise OperatorError(NO_PAGES)


def qr_svg(text: str) -> str:
    """Return a QR code as SVG, "" where segno is not installed."""
    try:
        import segno
    except ImportError:
        return ""
    return str(segno.make(text, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff"))


def qr_for_terminal(text: str) -> str:
    """Return a QR code of half blocks, two modules above each other in a character; "" where segno is not installed."""
    try:
        import segno
    except ImportError:
        return ""
    rows = [[bool(module) for module in row] for row in segno.make(text, error="l").matrix_iter(border=2)]
    rows += [[False] * len(rows[0])] * (len(rows) % 2)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "".join("".join(_HALVES[pair] for pair in zip(*two, strict=True)) + "\n" for two in pairs)


_HALVES: Final = {(False, False): "\u2588", (False, True): "\u2580", (True, False): "\u2584", (True, True): " "}
"""Light modules are drawn, for a terminal with a dark background: most readers read both."""
