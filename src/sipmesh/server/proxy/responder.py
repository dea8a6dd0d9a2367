"""Our own responses to requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.routing.outcome import RETRY_AFTER_S, Answer, try_later
from sipmesh.sip.framing import is_too_long
from sipmesh.sip.message import respond
from sipmesh.sip.status import Status
from sipmesh.sip.transaction.key import server_key
from sipmesh.storage.messages import Storing

if TYPE_CHECKING:
    from sipmesh.routing.outcome import Drop
    from sipmesh.server.proxy.flow import Flow, ProxiedRequest, ReceivedRequest
    from sipmesh.server.proxy.message_refusals import MessageRefusals
    from sipmesh.server.proxy.records.call_recorder import CallRecorder
    from sipmesh.server.proxy.serving.effects import RefuseForOctets, RefuseForUsers, RefuseUnstored
    from sipmesh.server.proxy.transactions.server_transactions import ServerTransactions
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.sip.message import Request, Response

NO_ROOM: Final = try_later("too many octets of its sender in memory")

WHY_NOT: Final = {
    Storing.USER_FULL: "too many messages are stored for this user, of all senders or of this one, or it is too large",
    Storing.SENDER_FULL: "too many messages of this sender are stored, or wait to be stored",
    Storing.FAILED: "the database of the stored messages cannot be used, or is too slow",
}
"""Why a MESSAGE is not stored, for the log. Its sender gets 480: the user is not registered."""


class Responder:
    """Answers requests at this server, and refuses them: *refusals* remember why, *transactions* are those that wait.

    *records* learn of each request that was answered here.
    """

    def __init__(
        self,
        transactions: ServerTransactions,
        refusals: MessageRefusals,
        accounts: Principals,
        records: CallRecorder,
        log: LimitedLog,
    ) -> None:
        self._transactions, self.refusals, self._accounts, self._log = transactions, refusals, accounts, log
        self._records = records

    def answer(self, received: ReceivedRequest, answer: Answer) -> None:
        """Answer a request ourselves; a refusal carries a coarse class, and a reference to our log."""
        request = received.request
        if request.method == "ACK":
            return
        headers = self.refusals.headers(received.flow, request, answer)
        response = respond(request, answer.status, answer.reason or None, headers=headers)
        if self._records.is_on:
            self._records.refused(received, response, answer.why, str(answer.code or ""))
        self.reply(received, response)

    def refusal(self, proxied: ProxiedRequest, answer: Answer) -> Response:
        """Make the response to a call that rings, and whose next target cannot be called."""
        request = proxied.request
        headers = self.refusals.headers(proxied.flow, request, answer)
        return respond(request, answer.status, answer.reason or None, headers=headers)

    def reply(self, received: ReceivedRequest, response: Response) -> None:
        """Send our own response; of a refused INVITE, only the key for its ACK is kept (RFC 3261 8.2.7 and 26.3.2.4).

        A response that the next hop would not read becomes a 513: the other end would close the link, with all its users.
        """
        flow, request, data = received.flow, received.request, response.encode()
        if is_too_long(response, len(data)):
            data = respond(request, Status.MESSAGE_TOO_LARGE).encode()
        flow.link.send(data)
        if request.method == "INVITE":
            flow.refuse(received.key)

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
        response = respond(request, Status.SERVER_INTERNAL_ERROR, headers=(("Retry-After", RETRY_AFTER_S),))
        held = flow.served.get(server_key(request))
        if held is not None:
            self._transactions.answer(held, response)
        else:
            flow.link.send(response.encode())

    # Effects of the step

    def refuse_for_octets(self, received: ReceivedRequest, effect: RefuseForOctets) -> None:
        """Answer 503, which asks the sender to retry later; other senders are not affected."""
        flow, account = received.flow, effect.account
        self._accounts.refuse(account)
        self._log.warning(
            flow.account.name,
            "too many octets in memory",
            link=flow.link.id,
            principal=f"{account.kind} {account.name}",
            method=received.request.method[:32],
            branches=account.branches,
            octets=account.octets,
        )
        self.answer(received, NO_ROOM)

    def refuse_for_users(self, received: ReceivedRequest, _: RefuseForUsers) -> None:
        """Answer 480: other users of the partner are not affected, so it is not asked to stay away (503)."""
        flow = received.flow
        self._accounts.refuse(flow.account)
        most = self._accounts.addressed.count(flow.link.peer_name)
        self._log.warning(flow.account.name, "too many different users addressed", link=flow.link.id, users=most)
        why = f"its sender has addressed too many different users within an hour, of {most} in all"
        self.answer(received, Answer(Status.TEMPORARILY_UNAVAILABLE, why=why))

    def refuse_unstored(self, received: ReceivedRequest, effect: RefuseUnstored) -> None:
        """Answer a MESSAGE that could not be stored: its user is not registered."""
        flow, why = received.flow, WHY_NOT[effect.result]
        self._log.warning(flow.account.name, "message not stored", link=flow.link.id, to=effect.aor, why=why)
        self.answer(received, Answer(Status.TEMPORARILY_UNAVAILABLE))

    def drop(self, received: ReceivedRequest, effect: Drop) -> None:
        """Leave a request without an answer: the ACK of a 2xx that cannot be routed."""
        self._log.debug("dropped", link=received.flow.link.id, method=received.request.method, why=effect.why)
