"""The message history of the users at home here: what they send and receive is kept, and each of them reads and erases it.

A message is kept once its sender has a 2xx. Nothing waits for the history: a message that cannot be kept is delivered all the
same, and counted as lost. A user reads by a subscription to itself, as for a search, and erases by a PUBLISH for itself.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.history_entry import Written, address_of, is_kept, plain, sender_of, written
from sipmesh.routing.events.history_query import ALL, NOT_THE_USER, document, order_of, query_of
from sipmesh.routing.events.packages import MESSAGE_HISTORY, event_type
from sipmesh.routing.events.stored_message import content_type, message_key
from sipmesh.routing.identity.sender import ClientSender
from sipmesh.routing.outcome import Answer, try_later
from sipmesh.routing.registrar.gruu import is_gruu, public_device
from sipmesh.routing.roles.front_end import FrontEndFacts
from sipmesh.routing.target import is_carried
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.server.quotas.principals import answers_for
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION, Status
from sipmesh.storage.message_history import (
    REMOVED_AT_ONCE,
    HistoryPage,
    NewEntry,
    accounts,
    conversations,
    erase,
    expire,
    forget,
    keep,
    move,
    page,
)
from sipmesh.topology.document.history_days import history_days
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.flow import ProxiedRequest, ReceivedRequest
    from sipmesh.sip.message import Request, Response
    from sipmesh.storage.message_cipher import HistoryCipher, UserCipher
    from sipmesh.storage.message_queue import MessageQueue

READS_A_MINUTE: Final = 120
"""A user may read so many pages of the own history in a minute at one server."""

ERASURES_A_MINUTE: Final = 30
OCTETS_AN_HOUR: Final = 32 << 20
"""One process keeps so many octets in an hour from one user, or from one partner with all its users, in all histories."""

BESIDE_BODY: Final = 400
"""Octets that a message has in a history beside its body, about."""

MOST_WAITING: Final = 3_000
"""Pieces of work that wait for the database; beyond, no message is kept. The rest of the queue is for messages to deliver.

Of one sender as many wait as there is room left: at most half of them, so that there is always room for another sender.
"""

EXPIRE_EVERY_S: Final = 60.0
TELL_EVERY_S: Final = 60.0
LOOK_EVERY_S: Final = 3_600.0
"""How often a server looks for the history of users who were removed or renamed while it did not run."""

_HOUR: Final = 3_600.0
_JSON: Final = MESSAGE_HISTORY.content_type

IS_OFF: Final = Answer(Status.FORBIDDEN, why="the topology has no message history for this pool")
NOT_HERE: Final = try_later("the history of the user is at the home pool, which does not answer")
TOO_MANY: Final = try_later("too many requests for a message history", after_s="60")
UNREADABLE: Final = Answer(Status.BAD_REQUEST, "Unreadable Query")
UNREADABLE_ORDER: Final = Answer(
    Status.BAD_REQUEST, 'Write {"erase": "user@host"}, or {"erase": "*"} for all conversations'
)
NOT_ERASED: Final = try_later("the message history cannot be erased: its database cannot be used")

UNAVAILABLE: Final = b'{"unavailable": true}'
"""What a user gets while the database cannot be read."""


class MessageHistory:
    """The histories of the users of *current*, in the database of *queue*.

    *partner_of* gives the partner of a domain, *clock* seconds of the loop. *is_on* costs a message nothing but a look.
    """

    def __init__(
        self,
        cipher: HistoryCipher,
        queue: MessageQueue,
        current: Current,
        partner_of: Callable[[str], str],
        token: Callable[[], str],
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._cipher, self._queue, self._current = cipher, queue, current
        self._partner_of, self._token, self._clock, self._log = partner_of, token, clock, log
        self._reads, self._erasures = RequestRate(READS_A_MINUTE, clock), RequestRate(ERASURES_A_MINUTE, clock)
        self._hour, self._octets = 0.0, Counter[str]()
        self._waiting_of: Counter[str] = Counter()
        self._expire_at = self._look_at = self._tell_at = 0.0
        self._days = -1
        self._is_empty = False
        self.is_on = False
        self.kept = self.lost = self._told = 0
        self.follow()

    def follow(self) -> None:
        """Keep messages, or keep none, as the version in force says; what is too old is removed at once."""
        view = self._current.value.view
        days = history_days(view.loaded.topology, view.pool.name) if view.role is Role.FRONT_END else 0
        if days != self._days:
            self._days, self.is_on = days, days > 0
            self._expire_at, self._is_empty = 0.0, view.role is not Role.FRONT_END

    # Messages

    def answered(self, proxied: ProxiedRequest, response: Response) -> None:
        """A MESSAGE that was forwarded has its final response.

        What another server of the pool has sent down a flow is kept there, and what passes on its way to the home pool of its
        sender is kept by that pool.
        """
        received, context, request = proxied.received, proxied.context, proxied.request
        if context is None or not FIRST_FINAL <= response.status < FIRST_REDIRECTION or not is_kept(request):
            return
        if received.place.flow is None and not any(is_carried(branch.target) for branch in context.branches.values()):
            self.add(received, proxied.identity, self._user_at(request))

    def add(self, received: ReceivedRequest, identity: str | None, user: str, group: str = "") -> None:
        """Keep the message of *identity* to *user*, "" if that is no user of ours, for each of both who is at home here.

        *group*: it is for the members of that group.
        """
        request, sender = received.request, received.flow.sender
        if not is_kept(request):
            return
        if isinstance(sender, ClientSender) and identity is not None and identity in sender.users:
            self.add_sent(request, identity, group)
        if user:
            self.add_received(request, identity, user, group)

    def add_sent(self, request: Request, user: str, group: str = "") -> None:
        """Keep a message for its sender, a user of ours; *group* is the group that it is for."""
        who = plain(group.partition(":")[2] or address_of(request.to))
        self._add(request, user, user, who, plain(user.partition(":")[2]), mine=True)

    def add_received(self, request: Request, identity: str | None, user: str, group: str = "") -> None:
        """Keep a message of *identity* for its receiver *user*."""
        sender = plain(sender_of(request, identity))
        self._add(request, user, identity, plain(group.partition(":")[2]) or sender, sender, mine=False)

    def _add(self, request: Request, user: str, author: str | None, who: str, sender: str, *, mine: bool) -> None:
        """Keep a message in the history of *user*; *who* is the other side, and *author* has written it."""
        homes = self._current.value.homes
        cipher = self._cipher_of(user)
        if cipher is None or homes.group_rules(user) is not None:
            return
        principal = self._answers_for(author or f"sip:{address_of(request.from_)}")
        octets = len(request.body) + BESIDE_BODY
        if not self._has_room(principal, octets):
            self.lost += 1
            return
        key = message_key(request, principal)
        proved = author is not None and homes.of(author) is not None
        told = written(request, key, who, sender, mine=mine, proved=proved)
        source = self._answers_for(f"sip:{who}") if mine else principal
        self._waiting_of[principal] += 1

        def done(is_new: bool | None) -> None:  # noqa: FBT001 - the result of the work
            self._waiting_of[principal] -= 1
            if not self._waiting_of[principal]:
                del self._waiting_of[principal]
            self.kept += is_new is True
            self.lost += is_new is None

        self._queue.submit(keep(cipher, entry_of(cipher, told, source)), done, is_later=True)

    def _has_room(self, principal: str, octets: int) -> bool:
        """Count the *octets* of a message of *principal*; False if so many cannot be kept now."""
        hour = self._clock() // _HOUR
        if hour != self._hour:
            self._hour, self._octets = hour, Counter()
        if self._waiting_of[principal] >= MOST_WAITING - self._queue.waiting:
            return False
        self._octets[principal] += octets
        return self._octets[principal] <= OCTETS_AN_HOUR

    def _answers_for(self, user: str) -> str:
        return answers_for(user, self._partner_of)

    def _cipher_of(self, user: str) -> UserCipher | None:
        """Return the keys of a user whose home pool this is; None for all others, and for an account that is not known."""
        homes, here = self._current.value.homes, self._current.value.view.pool.name
        account = homes.account_of(user) if homes.named(user) == here else 0
        return self._cipher.of(user, account) if account else None

    def _user_at(self, request: Request) -> str:
        """Return the user to whom a request was sent, by whichever name; "" if it is none of ours."""
        uri, value = request.ruri, self._current.value
        if uri.user is None:
            return ""
        if uri.params and is_gruu(uri) and public_device(uri) is None:
            opened = value.facts.gruus.open(uri) if isinstance(value.facts, FrontEndFacts) else None
            return opened.aor if opened is not None else ""
        return value.homes.owner_of(uri.aor)

    # The user reads and erases

    def refused(self, user: str, event: str) -> Answer | None:
        """Count a query of *user*, and return why it is refused; *event* is the Event of its SUBSCRIBE."""
        if not self.is_on:
            return IS_OFF
        if self._current.value.homes.is_guest(user):
            return NOT_HERE
        if self._cipher_of(user) is None:
            return NOT_THE_USER
        if query_of(event) is None:
            return UNREADABLE
        return None if self._reads.admits(user) else TOO_MANY

    def read(self, user: str, event: str, done: Callable[[bytes], None]) -> None:
        """Read what *event* asks for from the history of *user*; *done* gets the JSON."""
        cipher, query = self._cipher_of(user), query_of(event)
        if cipher is None or query is None:
            done(UNAVAILABLE)
            return
        who, before = query
        if who is None:
            work, name = conversations(cipher, before), "conversations"
        else:
            work, name = page(cipher, cipher.conversation(who), before), "messages"

        def found(result: HistoryPage | None) -> None:
            if result is None:
                done(UNAVAILABLE)
            else:
                done(document(name, [(entry.at, entry.octets) for entry in result.entries], result.before))

        self._queue.submit(work, found, only_reads=True, is_later=True)

    def takes(self, request: Request) -> bool:
        """Tell whether *request* is a PUBLISH that erases."""
        return request.method == "PUBLISH" and event_type(request) == MESSAGE_HISTORY.name

    def erase(self, request: Request, user: str, identity: str | None, done: Callable[[Answer], None]) -> None:
        """Erase what the PUBLISH *request* of *identity* names in the history of *user*; *done* gets the answer."""
        cipher = self._cipher_of(user)
        refused = self._refused_order(request, user, identity)
        what = None if refused is not None else order_of(request)
        if refused is not None or what is None or cipher is None:
            done(refused or (UNREADABLE_ORDER if what is None else NOT_THE_USER))
            return

        def erased(count: int | None) -> None:
            if count is None:
                done(NOT_ERASED)
                return
            self._log.info("message history erased", user=user, messages=count)
            done(Answer(Status.OK, headers=(("SIP-ETag", self._token()), ("Expires", "0"))))

        self._queue.submit(erase(cipher, None if what == ALL else cipher.conversation(what)), erased, is_later=True)

    def _refused_order(self, request: Request, user: str, identity: str | None) -> Answer | None:
        if identity != user:
            return NOT_THE_USER
        if not self.is_on:
            return IS_OFF
        if self._current.value.homes.is_guest(user):
            return NOT_HERE
        if content_type(request) != _JSON:
            return Answer(Status.UNSUPPORTED_MEDIA_TYPE, headers=(("Accept", _JSON),))
        return None if self._erasures.admits(user) else TOO_MANY

    # Users and time

    def users_changed(self, aors: frozenset[str]) -> None:
        """Remove the history of those of *aors* who are no users any more; that of a renamed user gets the new name."""
        if self.is_on and (gone := self._current.value.homes.unknown(aors)):
            self._gone(gone)

    def _gone(self, aors: Collection[str]) -> None:
        homes, removed = self._current.value.homes, list[str]()
        for aor in aors:
            now = homes.owner_of(aor)  # the address of a renamed user becomes an alias of the new one
            new = self._cipher_of(now) if now else None
            if new is None:
                removed.append(self._cipher.owner(aor))
            else:
                old = self._cipher.of(aor, new.account)
                self._queue.submit(move(old, new, self._renewed(new)), is_later=True)
        if removed:
            self._queue.submit(forget(removed), is_later=True)

    def _renewed(self, cipher: UserCipher) -> Callable[[bytes], NewEntry | None]:
        def renewed(octets: bytes) -> NewEntry | None:
            told = Written.read(octets)
            if told is None:
                return None
            return entry_of(cipher, told, self._answers_for(f"sip:{told.who if told.mine else told.sender}"))

        return renewed

    def sweep(self) -> None:
        """Remove what is too old, and what is of users who are gone; called about twice a second."""
        now = self._clock()
        if self.lost > self._told and now >= self._tell_at:
            self._log.warning("entries of message histories were lost", entries=self.lost - self._told)
            self._told, self._tell_at = self.lost, now + TELL_EVERY_S
        if now >= self._expire_at and not self._is_empty:
            self._expire_at = now + EXPIRE_EVERY_S
            self._expire()
        if self.is_on and now >= self._look_at and self._current.value.homes.ready:
            self._look_at = now + LOOK_EVERY_S
            self._queue.submit(accounts(self._cipher.pool), self._looked, only_reads=True, is_later=True)

    def _expire(self) -> None:
        days = self._days
        self._queue.submit(expire(self._cipher.pool, days), lambda count: self._expired(days, count), is_later=True)

    def _expired(self, days: int, count: int | None) -> None:
        """Go on if there is more to remove; without a history, this ends once nothing is left."""
        if count is None or days != self._days:
            return
        if count == REMOVED_AT_ONCE:
            self._expire()
        elif not days:
            self._is_empty = True

    def _looked(self, found: Sequence[tuple[str, int]] | None) -> None:
        homes = self._current.value.homes
        users = {self._cipher.aor(owner): (owner, account) for owner, account in found or ()}
        users.pop("", None)  # another key of the pool has encrypted it: it stays until it is too old
        gone = homes.unknown(frozenset(users))
        if gone:
            self._gone(gone)
        for aor, (owner, account) in users.items():
            present = homes.account_of(aor) if aor not in gone else 0
            if present > account:
                self._queue.submit(forget([owner], present), is_later=True)


def entry_of(cipher: UserCipher, told: Written, source: str) -> NewEntry:
    """Make the row of a message in the history that *cipher* is for; *source* answers for the other side."""
    return NewEntry(
        cipher.key(bytes.fromhex(told.key), is_mine=told.mine),
        cipher.conversation(told.who),
        cipher.source(source),
        told.octets(),
    )
