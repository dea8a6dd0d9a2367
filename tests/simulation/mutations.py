"""Faults made by hand in the product's code: the simulator has to find each of them within a few seeds."""

from __future__ import annotations

import itertools
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import sipmesh.pki.files
import sipmesh.server.proxy.dispatch
import sipmesh.server.proxy.transactions.branch_requests
from sipmesh.routing.proxy import forwarding
from sipmesh.server.proxy.registrar.known_bindings import KnownBindings
from sipmesh.server.proxy.registrar.registrations import Registrations
from sipmesh.server.proxy.relay import Relay
from sipmesh.server.proxy.transactions.client_transactions import ClientTransactions
from sipmesh.server.replication.control_links import ControlLinks
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.running.user_updates import UserUpdates
from sipmesh.sip.transaction import key
from sipmesh.transport.pool import LinkPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.server.proxy.flow import Flow, SentBranch
    from sipmesh.sip.message import Request, Response


@dataclass(frozen=True)
class Mutation:
    """A fault: *applied* is a context in which the product has it; the seeds of *profile* have to find it."""

    what: str
    applied: Callable[[], AbstractContextManager[Any]]
    profile: str = "usual"


def _response_to_another_branch() -> AbstractContextManager[Any]:
    """Give a response to another branch that waits on the same link."""
    rightly = Relay.responded

    def responded(self: Relay, flow: Flow, response: Response) -> bool:
        waiting = [name for name, sent in flow.sent.items() if sent.transaction.pending]
        if len(waiting) > 1 and response.top_via.branch in waiting:
            other = waiting[waiting.index(response.top_via.branch) - 1]
            if flow.sent[other].request.method == response.cseq.method:
                response.replace_item("via", str(response.first_item("via")).replace(response.top_via.branch, other))
        return rightly(self, flow, response)

    return patch.object(Relay, "responded", responded)


def _bindings_of_lost_links_stay() -> AbstractContextManager[Any]:
    return patch.object(Registrations, "flow_closed", lambda *_: None)


def _older_versions_are_stored() -> AbstractContextManager[Any]:
    """Forget after each start what was stored: the server begins with the version that it joined with."""
    return patch.object(DocumentStore, "keep", lambda *_: None)


def _cancel_is_lost() -> AbstractContextManager[Any]:
    return patch.object(ClientTransactions, "cancel", lambda *_: None)


def _retransmission_is_new() -> AbstractContextManager[Any]:
    """Take a retransmitted MESSAGE for a new request."""
    rightly, numbers = key.server_key, itertools.count()

    def server_key(request: Request) -> str:
        return f"{rightly(request)} {next(numbers)}" if request.method == "MESSAGE" else rightly(request)

    return patch.object(sipmesh.server.proxy.dispatch, "server_key", server_key)


def _rows_end_by_the_wall_clock() -> AbstractContextManager[Any]:
    """Let registrations end by the wall clock."""
    rightly = Registrations.__init__

    def begin(self: Registrations, *given: Any) -> None:
        rightly(self, *given)
        self._clock = self._lookups._clock = time.time

    return patch.object(Registrations, "__init__", begin)


def _client_asserts_identity() -> AbstractContextManager[Any]:
    """Pass on the P-Asserted-Identity that a client has written."""
    rightly = forwarding.branch_copy

    def branch_copy(request: Request, target: Any, **given: Any) -> Request:
        claimed = request.first("p-asserted-identity")
        copied = rightly(request, target, **given)
        if claimed is not None:
            copied.replace("p-asserted-identity", claimed)
        return copied

    return patch.object(sipmesh.server.proxy.transactions.branch_requests, "branch_copy", branch_copy)


def _removed_users_stay() -> AbstractContextManager[Any]:
    return patch.object(UserUpdates, "_close", lambda *_: 0)


def _revoked_links_stay() -> AbstractContextManager[Any]:
    return patch.object(LinkPool, "_is_refused_now", lambda *_: False)


def _no_second_dial() -> AbstractContextManager[Any]:
    """Do not dial again after a control link has closed."""
    return patch.object(ControlLinks, "gone", lambda *_: None)


def _no_fsync() -> AbstractContextManager[Any]:
    """Write files in place, and make nothing durable."""

    def write(file: Any, content: bytes, _mode: int = 0o644) -> None:
        file.write_bytes(content)

    def prepare(file: Any, content: bytes, _mode: int) -> Callable[[], None]:
        return lambda: file.write_bytes(content) and None

    return patch.multiple(sipmesh.pki.files, write=write, prepare=prepare)


def _answered_branches_stay() -> AbstractContextManager[Any]:
    """Keep a branch after its transaction has ended."""

    def drop(self: ClientTransactions, sent: SentBranch) -> None:
        sent.forget()
        if sent.due is not None:
            sent.due.discard(sent)

    return patch.object(ClientTransactions, "drop", drop)


def _rows_of_another_user() -> AbstractContextManager[Any]:
    """Find the devices of carol for bob."""
    rightly = KnownBindings.of

    def of(self: KnownBindings, aor: str, now: float) -> Any:
        return rightly(self, aor.replace("sip:bob@", "sip:carol@"), now)

    return patch.object(KnownBindings, "of", of)


MUTATIONS: Final[dict[str, Mutation]] = {
    "response-to-another-branch": Mutation("a response is given to another branch", _response_to_another_branch),
    "bindings-of-lost-links-stay": Mutation("a lost link keeps its registrations", _bindings_of_lost_links_stay),
    "versions-are-not-stored": Mutation("a server starts with an older version", _older_versions_are_stored, "crashes"),
    "cancel-is-lost": Mutation("a CANCEL is not sent on", _cancel_is_lost),
    "retransmission-is-new": Mutation("a retransmitted message is delivered twice", _retransmission_is_new),
    "rows-end-by-the-wall-clock": Mutation(
        "registrations end by the wall clock", _rows_end_by_the_wall_clock, "clocks"
    ),
    "client-asserts-identity": Mutation("the P-Asserted-Identity of a client is passed on", _client_asserts_identity),
    "removed-users-stay": Mutation("a removed user keeps the link", _removed_users_stay, "operators"),
    "revoked-links-stay": Mutation("links under a revoked certificate stay", _revoked_links_stay, "operators"),
    "no-second-dial": Mutation("a control link is dialled once only", _no_second_dial, "crashes"),
    "no-fsync": Mutation("nothing is written durably", _no_fsync, "crashes"),
    "answered-branches-stay": Mutation("an answered branch is never forgotten", _answered_branches_stay),
    "rows-of-another-user": Mutation("the devices of another user are found", _rows_of_another_user),
}
