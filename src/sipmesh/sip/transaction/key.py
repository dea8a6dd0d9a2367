"""Which transaction does a message belong to? RFC 3261 17.1.3 and 17.2.3.

A server's keys are unique among the requests of one link, not among all: the branch is the sender's choice, and a peer
that copies another's branch must not reach its transaction. Keep one map for each link, or put the link into the key.
Every key ends in a blank and the method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import MAGIC

if TYPE_CHECKING:
    from sipmesh.sip.message import Request, Response


def server_key(request: Request) -> str:
    """Name the server transaction of a request; an ACK names that of its INVITE, a CANCEL its own."""
    return _key(request, "INVITE" if request.method == "ACK" else request.method)


def cancelled_key(cancel: Request) -> str:
    """Name the INVITE transaction that a CANCEL wants to end (9.2)."""
    return _key(cancel, "INVITE")


def client_key(response: Response) -> str:
    """Name the client transaction of a response: the branch of our own Via, and the method of the CSeq (17.1.3)."""
    branch = response.top_via.branch
    if branch is None:
        raise RemoteError("a response without our branch", rule="RFC 3261 17.1.3")
    return f"{branch} {response.cseq.method}"


def _key(request: Request, method: str) -> str:
    via = request.top_via
    branch = via.branch
    if branch is not None and branch.startswith(MAGIC):
        return f"{branch} {via.sent_by} {method}"
    # Without the cookie the request is matched as RFC 2543 did: by all that its copies and its ACK have in common.
    from_tag, number = request.from_.tag, request.cseq.number
    return " ".join(["2543", str(via), request.uri, str(from_tag), request.call_id, str(number), method])
