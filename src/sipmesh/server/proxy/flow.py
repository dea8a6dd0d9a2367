"""One link as the server sees it, and the transactions on it: requests that came in, and branches that went out.

The three classes refer to each other, and every message passes through them: in one module the compiler sees their types, and no
import cycle is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.server.quotas.usage import NOBODY
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.routing.identity.dialog_token import Begun
    from sipmesh.routing.proxy.forwarding import ListenerAddress
    from sipmesh.routing.proxy.received import Mark
    from sipmesh.routing.proxy.response_context import ResponseContext
    from sipmesh.routing.registrar.refresh import KnownRefresh
    from sipmesh.server.proxy.timeout_queue import TimeoutQueue
    from sipmesh.server.quotas.usage import Usage
    from sipmesh.sip.message import Request
    from sipmesh.sip.transaction.client import ClientTransaction
    from sipmesh.sip.transaction.server import ServerTransaction
    from sipmesh.transport.link.link import Link


MOST_REFUSED: Final = 1_024
"""Refused INVITEs of one link whose ACKs are told from those of calls; the ACK of an older one is taken for a call's."""

MOST_REFUSED_OF_STRANGERS: Final = 32
"""The same before a login: whoever is challenged sends one INVITE, and it again with credentials."""

LONGEST_KEY: Final = 512
"""Characters of a transaction's key that is remembered for its ACK; an honest one has about a hundred."""


class Flow:
    """One link as the server sees it.

    *served* are the requests that came in on it, by transaction key; *sent* those that went out on it, by branch. Both
    belong to the link: a response, an ACK or a CANCEL counts only on the link of its request. *generations* says under
    which password each user was proved. *mark* is what its client's Vias are marked with. *account* is what its requests
    count on. *refresh* is the REGISTER that its phone repeats. *closed* says that its link is gone. *refused* are the keys of
    INVITEs that got a final refusal and no ACK yet: nothing else is kept of them.
    """

    __slots__ = (
        "account",
        "closed",
        "generations",
        "incarnation",
        "link",
        "mark",
        "refresh",
        "refused",
        "registered",
        "sender",
        "sent",
        "served",
    )

    def __init__(self, link: Link, incarnation: int) -> None:
        self.link, self.incarnation = link, incarnation
        self.served: dict[str, ProxiedRequest] = {}
        self.sent: dict[str, SentBranch] = {}
        self.generations: dict[str, int] = {}
        self.registered = self.closed = False
        self.refresh: KnownRefresh | None = None
        self.sender: Sender | None = None
        self.mark: Mark | None = None
        self.account: Usage = NOBODY
        self.refused: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<Flow of {self.link!r}: {len(self.served)} in, {len(self.sent)} out>"

    @property
    def number(self) -> int:
        """The number of the link in this incarnation of the server: what a flow token names."""
        return self.link.number

    def came_up(self) -> None:
        """The link has an accepted verdict, or a new one: from now on its sender is known, and so are its rights."""
        verdict = self.link.verdict
        peer = verdict.peer if verdict is not None else None
        if self.link.kind is not LinkKind.CLIENT and peer is not None:
            self.sender = ServerSender(self.link.kind, peer)
        elif self.link.kind is LinkKind.CLIENT and self.sender is None:
            self.sender = ClientSender(self.incarnation, self.number)

    @property
    def users(self) -> frozenset[str]:
        """The addresses of record that were proved on this link."""
        return self.sender.users if isinstance(self.sender, ClientSender) else frozenset()

    @property
    def owners(self) -> frozenset[bytes]:
        """The hashes of `users`, as tokens carry them."""
        return self.sender.owners if isinstance(self.sender, ClientSender) else frozenset()

    def refuse(self, key: str) -> None:
        """Remember the INVITE of *key* until its ACK comes, the newest ones only (RFC 3261 section 17.2.1)."""
        if len(key) > LONGEST_KEY:
            return
        most = MOST_REFUSED_OF_STRANGERS if self.account.kind == "address" else MOST_REFUSED
        if len(self.refused) >= most:
            del self.refused[next(iter(self.refused))]
        self.refused[key] = None

    def proved(self, user: str, generation: int) -> None:
        """Remember that this link has shown to be *user*, by the password as it is since *generation*."""
        self.generations[user] = generation
        self.sender = ClientSender(self.incarnation, self.number, frozenset(self.generations))
        self.link.authenticate()


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
