"""One message in the history of a user: which MESSAGEs are kept, what is kept of each, and the JSON that the user gets.

Receipts and typing are of the moment, and never kept. A body that is encrypted from end to end can be read on one device only:
the history says that there was such a message, and has no body. So it does for a body that is too large.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.stored_message import content_type, is_of_the_moment
from sipmesh.routing.identity.privacy import ANONYMOUS, hides_identity
from sipmesh.sip.text import octets_of
from sipmesh.strict_json import read_json
from sipmesh.typed_json import UnreadableJsonError, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.sip.fields import NameAddr
    from sipmesh.sip.message import Request

LARGEST: Final = 16 << 10
"""Octets of the largest body that is kept."""

LONGEST_SUBJECT: Final = 256
LONGEST_ID: Final = 128
"""Characters of CSeq number and Call-ID by which devices know a message again."""

WITHHELD: Final = f"anonymous@{ANONYMOUS}"
"""The other side of a conversation whose sender is not to be known (RFC 3323 section 4.1.1.3)."""

PLAIN: Final = "text/plain"
ENCRYPTED: Final = frozenset({"multipart/encrypted", "application/pkcs7-mime", "application/pgp-encrypted"})
"""Types of bodies that only a device can read: S/MIME, PGP, and the LIME of linphone."""

_OTR: Final = b"?OTR"
_ENCRYPTED: Final = "encrypted"
_LARGE: Final = "too large"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Written:
    """What is kept of a message. *who* is the other side, *sender* who has written it; a group is another side than the sender.

    *proved*: the sender is a user of ours. *body* is text, or base64 if *is_text* is false; *left* says why there is none.
    *key* is that of `message_key`, in hexadecimal. *id* is by what a device knows the message again that it has seen itself.
    """

    key: str
    who: str
    sender: str
    mine: bool
    proved: bool
    type: str
    subject: str
    body: str
    is_text: bool
    left: str
    id: str = ""

    def octets(self) -> bytes:
        """Return it as it is encrypted."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def read(cls, octets: bytes) -> Written | None:
        """Read what `octets` gave; None for what another release has written, and this one cannot read."""
        try:
            return read(cls, read_json(octets))
        except (ValueError, UnreadableJsonError):
            return None

    def as_json(self, at: int) -> Mapping[str, object]:
        """Return it as its user gets it; *at* are microseconds since 1970."""
        told: dict[str, object] = {
            "at": at,
            "time": (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="milliseconds"),
        }
        told |= {"with": self.who, "from": self.sender, "mine": self.mine, "proved": self.proved, "type": self.type}
        if self.id:
            told["id"] = self.id
        if self.subject:
            told["subject"] = self.subject
        if self.left:
            return told | {"left": self.left}
        return told | {"text" if self.is_text else "base64": self.body}


def is_kept(request: Request) -> bool:
    """Tell whether the history of its users has a request: a MESSAGE outside dialogs that is more than a state of the moment."""
    return request.method == "MESSAGE" and request.to.tag is None and not is_of_the_moment(request, request.body)


def address_of(address: NameAddr) -> str:
    """Return the address in a From or To without scheme and parameters: ``user@host``, or a number."""
    uri = address.sip_uri.aor if address.is_sip else address.uri.partition(";")[0]
    return uri.partition(":")[2]


def sender_of(request: Request, identity: str | None) -> str:
    """Return who has written a message, as its receiver may know it: the *identity*, or else From; `WITHHELD` if it hides."""
    if hides_identity(request):
        return WITHHELD
    return identity.partition(":")[2] if identity else address_of(request.from_)


def written(request: Request, key: bytes, who: str, sender: str, *, mine: bool, proved: bool) -> Written:
    """Write what is kept of *request*, which has the *key*; see `Written` for the rest."""
    kind = content_type(request) or PLAIN
    body, is_text = request.body, True
    left = _ENCRYPTED if kind in ENCRYPTED or body.startswith(_OTR) else _LARGE if len(body) > LARGEST else ""
    try:
        text = "" if left else body.decode()
    except UnicodeDecodeError:
        text, is_text = b64encode(body).decode(), False
    subject = octets_of(request.first("subject") or "").decode(errors="replace")[:LONGEST_SUBJECT]
    id_ = plain(f"{request.cseq.number} {request.call_id}"[:LONGEST_ID])
    return Written(key.hex(), plain(who), plain(sender), mine, proved, plain(kind), subject, text, is_text, left, id_)


def plain(text: str) -> str:
    """Make text of a message fit for JSON, which has no lone surrogates."""
    return octets_of(text).decode(errors="replace")
