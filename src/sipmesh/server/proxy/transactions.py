"""One request on its way through this server: its server transaction and the branches it went out on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.routing.identity.dialog_token import Begun
    from sipmesh.routing.proxy.forwarding import ListenerAddress
    from sipmesh.routing.proxy.response_context import ResponseContext
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.timeout_queue import TimeoutQueue
    from sipmesh.sip.message import Request
    from sipmesh.sip.transaction.client import ClientTransaction
    from sipmesh.sip.transaction.server import ServerTransaction


class ProxiedRequest:
    """A request that was received: *key* is its transaction, *context* collects what comes back, *sent* are its branches.

    *identity* is who sends, as it is asserted to the next server. *begun* is what the dialog begins with that the request
    opens, once that is known. *account* is whose branches and octets it counts on, *size* the octets that are counted for
    the request itself.
    """

    __slots__ = (
        "account",
        "begun",
        "came_by",
        "context",
        "flow",
        "identity",
        "key",
        "loop",
        "request",
        "sent",
        "size",
        "transaction",
    )

    def __init__(self, flow: Flow, request: Request, key: str, transaction: ServerTransaction) -> None:
        self.flow, self.request, self.key, self.transaction = flow, request, key, transaction
        self.context: ResponseContext | None = None
        self.identity: str | None = None
        self.came_by: ListenerAddress | None = None
        self.begun: Begun | None = None
        self.loop = ""
        self.sent: dict[int, SentBranch] = {}
        self.account, self.size = flow.account, 0

    def hold(self, size: int) -> None:
        """Count *size* octets for the request in place of what was counted before."""
        self.account.add(0, size - self.size)
        self.size = size

    def __repr__(self) -> str:
        return f"<ProxiedRequest {self.request.method} {self.key} {self.transaction!r} on {len(self.sent)} branches>"


class SentBranch:
    """One branch as it went out: the link it went on, the very request (for ACK and CANCEL), and its transaction.

    *due* holds it until its deadline. *began* is when it went out, in seconds of the loop's clock. *size* are the octets
    and *waits* tells the branch that are counted for it.
    """

    __slots__ = (
        "began",
        "branch",
        "cancelled",
        "due",
        "flow",
        "number",
        "proxied",
        "request",
        "size",
        "transaction",
        "waits",
    )

    def __init__(
        self,
        proxied: ProxiedRequest,
        number: int,
        branch: str,
        flow: Flow,
        request: Request,
        transaction: ClientTransaction,
    ) -> None:
        self.proxied, self.number, self.branch = proxied, number, branch
        self.flow, self.request, self.transaction = flow, request, transaction
        self.cancelled, self.began = False, 0.0
        self.due: TimeoutQueue[SentBranch] | None = None
        self.size, self.waits = 0, False

    def count(self, size: int) -> None:
        """Count the branch, and *size* octets for what it takes, on the account of who sent the request."""
        self.proxied.account.add(1, size)
        self.size, self.waits = size, True

    def settle(self) -> None:
        """Count it no more among the branches that wait for their final response, and let go of its body."""
        if not self.waits:
            return
        body = len(self.request.body)
        self.proxied.account.add(-1, -body)
        self.size, self.waits = self.size - body, False
        self.request.body = b""

    def forget(self) -> None:
        """Count nothing of it any more."""
        self.proxied.account.add(-1 if self.waits else 0, -self.size)
        self.size, self.waits = 0, False

    def __repr__(self) -> str:
        return f"<SentBranch {self.request.method} {self.branch} {self.transaction!r}>"
