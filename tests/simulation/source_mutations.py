"""Wrong edits of the product's source: each replaces one text in one file, and the simulator has to find it.

The list was written from the source alone, before the simulator had stored messages, a management pool, workers and start orders.
It tests the generators and the promises: a fault that nothing finds shows a situation that no seed brings about, or a promise
that no test checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulation.hot_patch import edited

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class SourceMutation:
    """A wrong edit: in *file*, below ``src/sipmesh``, the text *right* is replaced by *wrong*; *what* says what that breaks."""

    area: str
    what: str
    file: str
    right: str
    wrong: str

    def applied(self) -> AbstractContextManager[None]:
        """Return a context in which the product has the edit; raises ValueError unless the text is there exactly once."""
        return edited(self.file, self.right, self.wrong)


SOURCE_MUTATIONS: Final[dict[str, SourceMutation]] = {
    # Stored messages
    "failed-store-is-acknowledged": SourceMutation(
        "stored messages",
        "a message gets 202 although the database has refused the transaction",
        "server/proxy/events/message_storing.py",
        "self._end(pending.done, result or Storing.FAILED)",
        "self._end(pending.done, result or Storing.STORED)",
    ),
    "newest-message-first": SourceMutation(
        "stored messages",
        "stored messages are read in the wrong order",
        "storage/messages.py",
        ".order_by(tables.MESSAGES.c.number)",
        ".order_by(tables.MESSAGES.c.number.desc())",
    ),
    "delivery-lease-is-no-lease": SourceMutation(
        "stored messages",
        "two servers deliver the messages of one user at the same time",
        "storage/message_tables.py",
        "WHERE stored_message_leases.holder = excluded.holder OR stored_message_leases.ends <= :now",
        "WHERE stored_message_leases.holder = excluded.holder OR stored_message_leases.ends > :now - 3600",
    ),
    "unanswered-message-is-removed": SourceMutation(
        "stored messages",
        "a message that a phone has not answered counts as delivered",
        "server/proxy/events/delivery.py",
        "fate = Fate.REFUSED if self._is_spent_by_silence(message, row) else Fate.UNANSWERED",
        "fate = Fate.DELIVERED",
    ),
    "copies-are-stored-twice": SourceMutation(
        "stored messages",
        "a message that its phone sends again is stored a second time",
        "routing/events/stored_message.py",
        'request.from_.tag or "", str(request.cseq.number))',
        'request.from_.tag or "", request.top_via.branch or "")',
    ),
    "one-more-than-the-limit": SourceMutation(
        "stored messages",
        "a user has one stored message more than the limit",
        "storage/messages.py",
        "if count >= limits.per_user or octets + size > limits.octets_per_user:",
        "if count > limits.per_user or octets + size > limits.octets_per_user:",
    ),
    "expired-messages-are-delivered": SourceMutation(
        "stored messages",
        "a message is delivered after its Expires",
        "server/proxy/events/delivery.py",
        "return self._now - self.read_at >= self.messages[0].left_s",
        "return self._now < self.read_at",
    ),
    "nobody-looks-for-left-messages": SourceMutation(
        "stored messages",
        "messages of a server that has stopped wait until their user registers again",
        "server/proxy/events/message_delivery.py",
        "if not is_tried and self._registrations.is_here(aor):",
        "if not is_tried and aor in self._next_ones:",
    ),
    # The management pool
    "lower-fencing-is-accepted": SourceMutation(
        "management pool",
        "servers accept what an overtaken leader has signed",
        "server/replication/fencing.py",
        "if signed.fencing < number:",
        "if signed.fencing < 0:",
    ),
    "fencing-is-not-stored": SourceMutation(
        "management pool",
        "a server forgets the highest fencing number at its next start",
        "server/replication/highest_number.py",
        '            files.write(self.file, b"%d\\n" % number, files.SECRET)\n',
        "",
    ),
    "two-leaders-of-one-number": SourceMutation(
        "management pool",
        "a new leader has the fencing number of the leader before",
        "database/lease.py",
        "number = max(state.fencing, self.floor) + 1",
        "number = max(state.fencing, self.floor)",
    ),
    "overtaken-leader-writes": SourceMutation(
        "management pool",
        "a leader that was overtaken still writes to the database",
        "database/lease.py",
        "if row is None or not self.fencing or (row.holder, row.fencing) != (self.holder, self.fencing):",
        "if row is None or not self.fencing:",
    ),
    "former-leader-keeps-its-links": SourceMutation(
        "management pool",
        "a leader that was overtaken keeps its control links",
        "server/management/pool/leadership.py",
        "            self._candidate.step_down()\n",
        "",
    ),
    "number-of-a-restored-database": SourceMutation(
        "management pool",
        "a leader uses a number of an older database again",
        "database/lease.py",
        "number = max(state.fencing, self.floor) + 1",
        "number = state.fencing + 1",
    ),
    "new-leader-signs-nothing": SourceMutation(
        "management pool",
        "a new leader does not sign the version in force again",
        "server/management/controller.py",
        """        if self._offers.fencing < self.management_db.lease.fencing:
            await self._publish_again()""",
        """        if self._offers.fencing > self.management_db.lease.fencing:
            await self._publish_again()""",
    ),
    "lease-is-not-renewed": SourceMutation(
        "management pool",
        "the leader renews nothing, and loses the lease every few seconds",
        "database/lease.py",
        "return bool(db.execute(tables.LEASE.update().where(ours, *also).values(until=until)).rowcount)",
        "return bool(db.execute(tables.LEASE.update().where(ours, *also).values(until=tables.LEASE.c.until)).rowcount)",
    ),
    "follower-stores-nothing": SourceMutation(
        "management pool",
        "a management server that follows does not store the version that it puts in force",
        "server/replication/published_version.py",
        "        self.documents.keep(kept.jws, loaded)\n",
        "",
    ),
    # Revocation
    "older-crl-replaces-newer": SourceMutation(
        "revocation",
        "an older CRL replaces a newer one",
        "server/replication/crl_store.py",
        "    return _is_newer(new, old)\n\n\ndef _is_valid",
        "    return True\n\n\ndef _is_valid",
    ),
    "new-version-forgets-revocations": SourceMutation(
        "revocation",
        "a pushed revocation is forgotten with the next version",
        "server/running/revocation_updates.py",
        "        if self.pushed:\n            loaded.authority.use_crls(loaded.authority.lists.revoking(self.pushed))",
        "        if not self.pushed:\n            loaded.authority.use_crls(loaded.authority.lists.revoking(self.pushed))",
    ),
    "links-that-do-not-read-are-not-judged": SourceMutation(
        "revocation",
        "a link whose peer reads nothing is not closed by a revocation",
        "transport/pool.py",
        "if link.peer.evidence is None or",
        "if link.peer.evidence is None or link.blocked or",
    ),
    "workers-hear-of-no-revocation": SourceMutation(
        "revocation",
        "workers are not told of a pushed revocation",
        "server/running/revocation_updates.py",
        "        self._outside.follower.revoked(revoked)\n",
        "        self._outside.follower.revoked(())\n",
    ),
    # Workers
    "new-worker-knows-no-revocation": SourceMutation(
        "workers",
        "a worker that is replaced does not know what was pushed before",
        "server/workers/supervisor.py",
        "revoked = [[issuer.hex(), serial] for issuer, serial in self._node.revocation.pushed]",
        "revoked: list[list[object]] = []",
    ),
    "links-of-dead-workers-stay": SourceMutation(
        "workers",
        "the links of a worker that has ended stay known to the others",
        "server/proxy/links/reception.py",
        "            self._end(link)\n",
        "            pass\n",
    ),
    "worker-is-replaced-once": SourceMutation(
        "workers",
        "a worker is replaced once, and not again",
        "server/workers/supervisor.py",
        "        while slot.process is not None and not self._is_ending:\n",
        "        if slot.process is not None and not self._is_ending:\n",
    ),
    "workers-keep-old-passwords": SourceMutation(
        "workers",
        "workers are not told of changed users",
        "server/running/user_updates.py",
        "        self._outside.follower.users_changed(document)\n",
        "",
    ),
    "new-worker-hears-of-no-links": SourceMutation(
        "workers",
        "a worker that joins is not told which links the others have",
        "server/proxy/siblings/siblings.py",
        "                channel.send(UP, flow.number, announced(flow.link, flow))\n",
        "                announced(flow.link, flow)\n",
    ),
    # Versions of the topology
    "record-is-written-last": SourceMutation(
        "topology versions",
        "a crash between the files of a version and their record stops the next start",
        "server/replication/document_store.py",
        "        self._record.write(new_record.replacing(*(file.read_bytes() for file in self._files if file.exists())))\n",
        "",
    ),
    "refused-version-is-not-sent-again": SourceMutation(
        "topology versions",
        "a server that has refused a version, for a full disk, never gets it again",
        "server/management/controller.py",
        "                    self._notifier.again(name)\n",
        "                    pass\n",
    ),
    "version-below-the-highest": SourceMutation(
        "topology versions",
        "a server accepts any version that management sends",
        "server/replication/document_store.py",
        "if publication.number <= floor and not self._is_unfinished(jws, publication, in_force):",
        "if publication.number < 0 and not self._is_unfinished(jws, publication, in_force):",
    ),
    # Registrations and the location service
    "stale-rows-are-used": SourceMutation(
        "registrations",
        "the known rows of a user are used although another server has changed them",
        "server/proxy/registrar/known_bindings.py",
        "        if self._versions[known.slot] != known.version:\n            return None\n",
        "",
    ),
    "binding-of-a-link-that-closed-meanwhile": SourceMutation(
        "registrations",
        "a registration stays whose link closed while the store wrote it",
        "server/proxy/registrar/registrations.py",
        "        if flow.closed:\n            self.flow_closed(flow)",
        "        if not flow.registered:\n            self.flow_closed(flow)",
    ),
    "rows-of-an-earlier-process": SourceMutation(
        "registrations",
        "the rows of a server that was killed are found after its next start",
        "storage/location_service/bindings.py",
        '_DROP_SERVER = "DELETE FROM bindings WHERE server = ? AND incarnation <> ? RETURNING aor"',
        '_DROP_SERVER = "DELETE FROM bindings WHERE server = ? AND incarnation > ? RETURNING aor"',
    ),
    "nobody-restores-rows": SourceMutation(
        "registrations",
        "a refresh is answered although its row ends",
        "server/proxy/registrar/known_bindings.py",
        "        self._ends.advance(key, row.expires_at)\n",
        "",
    ),
    # Documents of users
    "gap-in-the-users": SourceMutation(
        "documents of users",
        "a change of users is applied although an earlier one is missing",
        "storage/users/replicated_users.py",
        "if document_part.since > self.number:",
        "if document_part.since < 0:",
    ),
    "changed-users-are-not-announced": SourceMutation(
        "documents of users",
        "after a crash an old password counts until management has sent the users again",
        "server/replication/stored_users.py",
        "            self._announce(number, None if whole else _changed_in(parts))\n",
        "",
    ),
    "withheld-users-log-in": SourceMutation(
        "documents of users",
        "a user whose change is announced and not stored logs in with what was known before",
        "storage/users/replicated_users.py",
        "self._withheld, self._until = possibly_changed, until",
        "self._withheld, self._until = frozenset(), until",
    ),
    "refused-users-count-as-accepted": SourceMutation(
        "documents of users",
        "users that a server has refused are not sent again",
        "distribution/notifier.py",
        "            subscription.refused_users = True\n",
        "            subscription.accepted_users = number\n",
    ),
    # Relay and transactions
    "timed-out-branch-is-not-answered": SourceMutation(
        "transactions",
        "a request whose branch times out gets no response",
        "server/proxy/relay.py",
        "self._perform(sent.proxied, context.timed_out(sent.number) if context is not None else [])",
        "self._perform(sent.proxied, [])",
    ),
    "branches-of-closed-links-wait": SourceMutation(
        "transactions",
        "a branch on a link that has closed is forgotten, and its request is not answered",
        "server/proxy/relay.py",
        "            self._lose(sent)\n        self._served_before += flow.served.values()\n",
        "            pass\n        self._served_before += flow.served.values()\n",
    ),
    "others-ring-on": SourceMutation(
        "transactions",
        "the other phones of a user ring on when one of them has answered",
        "routing/proxy/response_context.py",
        "return [SendResponse(response), *self._cancel_running(ELSEWHERE)]",
        "return [SendResponse(response)]",
    ),
    "refused-calls-get-no-ack": SourceMutation(
        "transactions",
        "a refusal of an INVITE is not acknowledged",
        "server/proxy/relay.py",
        """        if todo is Do.ACK:
            sent.flow.link.send(ack_for(sent.request, response).encode())
        self.client_transactions.responded(sent, given, response.status)""",
        """        self.client_transactions.responded(sent, given, response.status)""",
    ),
    # Dialogs
    "answer-has-no-token": SourceMutation(
        "dialogs",
        "the initiator of a dialog gets no token for it, so that its BYE finds no way",
        "server/proxy/response_admission.py",
        "            self._requests.bind_answer(sent, response)\n",
        '            response.remove("record-route")\n',
    ),
    "ended-calls-stay": SourceMutation(
        "dialogs",
        "a call stays in the table after its BYE",
        "server/proxy/transactions/server_transactions.py",
        "                self._calls.ended(dialog, proxied.request.call_id)\n",
        "                pass\n",
    ),
    # Keepalives, outages, takeovers
    "silent-link-stays": SourceMutation(
        "outages",
        "a link whose peer is silent is not closed",
        "server/proxy/liveness/keepalives.py",
        "            link.close(SILENT)\n",
        "            pass\n",
    ),
    "one-trial-only": SourceMutation(
        "outages",
        "a server that did not answer is tried once, and not again",
        "server/proxy/liveness/outages.py",
        "link.peer.accepted or self._was_slow(link)\n            self._try_later(outage)",
        "link.peer.accepted or self._was_slow(link)",
    ),
    "takeover-after-the-first-silence": SourceMutation(
        "outages",
        "a pool is taken over as soon as one of its servers does not answer",
        "server/proxy/login/takeovers.py",
        "        if len(since) != len(outages):\n",
        "        if not since:\n",
    ),
    # Quotas
    "carried-requests-count-for-ever": SourceMutation(
        "quotas",
        "the account of a server keeps what its users' requests have added",
        "server/quotas/usage.py",
        "            account = account.within\n\n    def tell",
        "            account = account.within if branches > 0 else None\n\n    def tell",
    ),
    "waiting-messages-count-for-ever": SourceMutation(
        "quotas",
        "a message that was given up counts as waiting for ever",
        "server/proxy/events/message_storing.py",
        """        self._waiting_of[pending.sender] -= 1
        if not self._waiting_of[pending.sender]:
            del self._waiting_of[pending.sender]
        if pending not in self._pending:
            return
""",
        """        if pending not in self._pending:
            return
        self._waiting_of[pending.sender] -= 1
        if not self._waiting_of[pending.sender]:
            del self._waiting_of[pending.sender]
""",
    ),
    # Areas that the first list does not touch: these were written from the source, before the world had moved and hidden users
    "refused-share-never-falls": SourceMutation(
        "overload",
        "after an overload, the share of requests that is refused does not fall",
        "routing/overload.py",
        "        self.loss *= LOWERED\n        self._next_step(now)\n",
        "        self._next_step(now)\n",
    ),
    "phones-are-shown-who-hides": SourceMutation(
        "privacy",
        "a phone is shown who has asked to be hidden; only partners are not",
        "server/proxy/transactions/privacy_service.py",
        "        if kind is not LinkKind.SERVER:\n            ours",
        "        if kind is LinkKind.PARTNER:\n            ours",
    ),
    "other-workers-count-for-ever": SourceMutation(
        "limits",
        "the other workers are not told that a principal uses nothing any more",
        "server/quotas/usage.py",
        "        if is_over or branches * steps",
        "        if branches * steps",
    ),
    "join-takes-an-older-version": SourceMutation(
        "joins",
        "a server that joins again takes an older version than it had",
        "server/replication/document_store.py",
        '        if publication.number < self.highest:\n            reason = f"has had',
        '        if publication.number < 0:\n            reason = f"has had',
    ),
    "nobody-fetches-crls": SourceMutation(
        "CRL fetch",
        "the CRLs that a topology names by URL are not fetched",
        "server/refresh/fetcher.py",
        "        if self._fetches_crls:\n            self._crls.follow",
        "        if not self._fetches_crls:\n            self._crls.follow",
    ),
    "ended-worker-owes-its-answers": SourceMutation(
        "hand-over",
        "requests that a worker has taken over are not answered when it ends",
        "server/proxy/siblings/handed_requests.py",
        "        return [(number, answer) for number, _, answer in owed]\n",
        "        return []\n",
    ),
    "carried-logins-are-not-announced": SourceMutation(
        "hand-over",
        "a worker does not tell the others of a carried flow with its first login",
        "server/proxy/siblings/shared_usage.py",
        "if flow.carrier is not None and flow.logged_in == {user}:",
        "if flow.carrier is not None and flow.logged_in != {user}:",
    ),
    "moved-users-keep-their-links": SourceMutation(
        "moved users",
        "the links of a user who was moved to another pool stay",
        "server/proxy/login/digest_auth.py",
        "                self.moved.add(flow)\n",
        "                pass\n",
    ),
    "moved-users-stay-registered": SourceMutation(
        "moved users",
        "a user who was moved to another pool stays registered in the pool before",
        "server/proxy/login/digest_auth.py",
        "                self._registrations.withdraw(flow, outdated)\n",
        "                pass\n",
    ),
    "each-pool-has-its-names-key": SourceMutation(
        "names",
        "a name of nobody is challenged in another way by each pool",
        "server/in_force/home_pools.py",
        "name_hash(key, aor) if key else hash_of(aor)",
        "hash_of(aor)",
    ),
}
