"""The sender that the body of a MESSAGE names: From in ``message/cpim`` (RFC 3862), which phones show instead of the SIP From."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.content_encoding import refused_encoding
from sipmesh.routing.identity.border import is_for_users
from sipmesh.routing.identity.privacy import is_anonymous
from sipmesh.routing.identity.sender import ClientSender, Sender
from sipmesh.routing.outcome import Answer
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request
from sipmesh.sip.names import BITS
from sipmesh.sip.text import LWS, ascii_lower, has_control, shown, text_of
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from mypy_extensions import i64

CPIM: Final = "message/cpim"
LARGEST_HEADER: Final = 8_192
"""Octets of the header of a CPIM message: it is parsed. Phones write some hundreds."""

_RULE: Final = "RFC 3862 section 2.3"
_FROM: Final = "from"
_INSTANT_INBOX: Final = "im:"
_CONTENT_TYPE: Final[i64] = BITS["content-type"]
_END: Final = re.compile(rb"\r?\n\r?\n")
_ROW_END: Final = re.compile("\r?\n")
_NO_DOMAINS: Final[frozenset[str]] = frozenset()


def refused_author(request: Request, sender: Sender) -> Answer | None:
    """Refuse a MESSAGE whose body names another sender than *sender* may speak as; None for all else.

    This is for clients, partners and edges. An application such as a conference server says who has written what it passes on.
    """
    if (
        request.method != "MESSAGE"
        or not request.body
        or not request.present & _CONTENT_TYPE
        or not _is_cpim(request.row(_CONTENT_TYPE).value)
    ):
        return None
    if not is_for_users(sender):
        return None
    if (encoded := refused_encoding(request)) is not None:
        return encoded
    allowed = _NO_DOMAINS if isinstance(sender, ClientSender) else sender.peer.asserts
    try:
        for author in authors_of(request.body):
            if not is_anonymous(author) and not sender.may_speak_as(author, allowed):
                why = f"From {shown(author.uri)} in the body is not a name of its sender"
                return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)
    except RemoteError as wrong:
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=str(wrong))
    return None


def authors_of(body: bytes) -> list[NameAddr]:
    """Give each From in the header of a CPIM message; RemoteError for a header that two phones may read differently.

    The prefix of a name may be that of any namespace (RFC 3862 section 2.5), also of the namespace that has From.
    """
    end = _END.search(body)
    if end is None or not 0 < end.start() <= LARGEST_HEADER:
        raise RemoteError("a CPIM message without a header that ends", rule=_RULE)
    authors: list[NameAddr] = []
    for row in _ROW_END.split(text_of(body[: end.start()])):
        name, colon, value = row.partition(":")
        if not colon or not name.strip(LWS) or row[:1] in LWS or has_control(row):
            raise RemoteError("a row in the header of a CPIM message that cannot be read", rule=_RULE)
        if ascii_lower(name.rpartition(".")[2].strip(LWS)) == _FROM:
            authors.append(_author(value.strip(LWS)))
    return authors


def _author(value: str) -> NameAddr:
    """Parse ``[Formal-name] "<" URI ">"`` (RFC 3862 section 3). An ``im:`` URI (RFC 3860) names the user of the SIP address."""
    _, _, uri = value.partition("<")
    if value.count("<") != 1 or not uri.endswith(">") or uri.count(">") != 1:
        raise RemoteError("a From in a CPIM message that cannot be read", rule=_RULE)
    uri = uri[:-1]
    is_inbox = ascii_lower(uri[: len(_INSTANT_INBOX)]) == _INSTANT_INBOX
    return NameAddr(None, f"sip:{uri[len(_INSTANT_INBOX) :]}" if is_inbox else uri)


def _is_cpim(content_type: str) -> bool:
    """Tell whether a phone may read a type as that of CPIM; blanks and comments do not matter."""
    kind = ascii_lower(content_type.partition(";")[0].partition("(")[0])
    return kind.replace(" ", "").replace("\t", "") == CPIM
