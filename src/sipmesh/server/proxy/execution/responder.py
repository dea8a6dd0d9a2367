"""Our own responses to requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.routing.outcome import (
    RETRY_AFTER_S,
    Answer,
    try_later,
)
from sipmesh.server.proxy.transactions.message_size import is_too_long
from sipmesh.sip.message import respond
from sipmesh.sip.status import Status
from sipmesh.sip.transaction.key import server_key

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.message_refusals import MessageRefusals
    from sipmesh.server.proxy.transactions.server_transactions import ServerTransactions
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.server.quotas.usage import Usage
    from sipmesh.sip.message import Request, Response


class Responder:
    """Answers requests at this server, and refuses them: *refusals* remember why, *transactions* are those that wait."""

    def __init__(
        self, transactions: ServerTransactions, refusals: MessageRefusals, accounts: Principals, log: LimitedLog
    ) -> None:
        self._transactions, self._refusals, self._accounts, self._log = transactions, refusals, accounts, log

    def __repr__(self) -> str:
        return f"<Responder {self._refusals!r}>"

    def record(self, flow: Flow, request: Request, refused: Answer) -> str:
        """Remember a refusal that is not answered; returns its reference."""
        return self._refusals.record(flow, request, refused)

    def answer(self, flow: Flow, request: Request, key: str, answer: Answer) -> None:
        """Answer a request ourselves; a refusal carries a coarse class, and a reference to our log."""
        if request.method == "ACK":
            return
        headers = answer.headers
        if answer.code is not None:
            headers += (("Warning", self._refusals.record(flow, request, answer)),)
        self.reply(flow, request, key, respond(request, answer.status, answer.reason or None, headers=headers))

    def reply(self, flow: Flow, request: Request, key: str, response: Response) -> None:
        """Send our own response; of a refused INVITE, only the key for its ACK is kept (RFC 3261 8.2.7 and 26.3.2.4).

        A response that the next hop would not read becomes a 513: the other end would close the link, with all its users.
        """
        data = response.encode()
        if is_too_long(response, len(data)):
            data = respond(request, Status.MESSAGE_TOO_LARGE).encode()
        flow.link.send(data)
        if request.method == "INVITE":
            flow.refuse(key)

    def refuse_malformed(self, flow: Flow, request: Request, wrong: RemoteError) -> None:
        """Answer with the status that the broken rule asks for, or close where nothing can be answered."""
        who = flow.account.name
        self._log.warning(who, "request refused", link=flow.link.id, method=request.method[:32], why=str(wrong))
        if request.method == "ACK":
            return
        try:
            flow.link.send(respond(request, wrong.status).encode())
        except RemoteError as unanswerable:
            flow.link.close(f"cannot be answered: {unanswerable}")

    def refuse_failed(self, flow: Flow, request: Request, wrong: SipmeshError) -> None:
        """Answer a fault on our side: its text is for our log."""
        who = flow.account.name
        self._log.error(who, "request failed", link=flow.link.id, method=request.method, why=str(wrong))
        if request.method == "ACK":
            return
        response = respond(request, 500, headers=(("Retry-After", RETRY_AFTER_S),))
        held = flow.served.get(server_key(request))
        if held is not None:
            self._transactions.answer(held, response)
        else:
            flow.link.send(response.encode())

    def over_its_limit(self, flow: Flow, request: Request, account: Usage) -> Answer:
        """Return a 503 that asks the sender to retry later; other senders are not affected."""
        self._accounts.refuse(account)
        self._log.warning(
            flow.account.name,
            "too many octets in memory",
            link=flow.link.id,
            principal=f"{account.kind} {account.name}",
            method=request.method[:32],
            branches=account.branches,
            octets=account.octets,
        )
        return try_later("too many octets of its sender in memory")

    def too_many_users(self, flow: Flow, request: Request) -> Answer | None:
        """Return a 480 for a partner's new request to one more user than it, or its sender, may address in an hour, else None.

        Other users are not affected, so the partner is not asked to stay away (503). A request with a To tag of no dialog is
        refused later.
        """
        if request.to.tag is not None:
            return None
        if self._accounts.addressed.admits(flow.link.peer_name, request.from_.aor, request.ruri.aor):
            return None
        self._accounts.refuse(flow.account)
        most = self._accounts.addressed.count(flow.link.peer_name)
        self._log.warning(flow.account.name, "too many different users addressed", link=flow.link.id, users=most)
        return Answer(480, why=f"its sender has addressed too many different users within an hour, of {most} in all")
