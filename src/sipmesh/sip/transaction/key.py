"""Match messages with transactions: RFC 3261 17.1.3 and 17.2.3.

The key of a server transaction is unique on one link only. The sender chooses the branch, and a peer that copies the branch
of another peer must not reach its transaction. Keep one map for each link, or add the link to the key.

Each key ends in a blank and the method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import MAGIC

if TYPE_CHECKING:
    from sipmesh.sip.message import Request, Response


def server_key(request: Request) -> str:
    """Give the key of a request's server transaction. An ACK has the key of its INVITE, a CANCEL its own key."""
    return _key(request, "INVITE" if request.method == "ACK" else request.method)


def cancelled_key(cancel: Request) -> str:
    """Give the key of the INVITE transaction that a CANCEL is for (9.2)."""
    return _key(cancel, "INVITE")


def client_key(response: Response) -> str:
    """Give the key of a response's client transaction: the branch of our Via and the CSeq method (17.1.3).

    RemoteError if the top Via has no branch.
    """
    branch = response.top_via.branch
    if branch is None:
        raise RemoteError("a response without our branch", rule="RFC 3261 17.1.3")
    return f"{branch} {response.cseq.method}"


def _key(request: Request, method: str) -> str:
    via = request.top_via
    branch = via.branch
    if branch is not None and branch.startswith(MAGIC):
        return f"{branch} {via.sent_by} {method}"
    # Without the cookie, RFC 2543 rules apply (17.2.3): match all fields that a retransmission and the ACK have in common.
    from_tag, number = request.from_.tag, request.cseq.number
    return " ".join(["2543", str(via), request.uri, str(from_tag), request.call_id, str(number), method])
