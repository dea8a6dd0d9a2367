"""Which of our users a front end of another pool may speak for: those whose home it is.

Only the home pool authenticates a user, also if another server has the user's link, and its backup pool in its place. So a
request of the user reaches other pools from these two only. The backup pool has the digest of the password: it could log in as
the user anyway. What a server of our own pool says is not looked at: it passes on what others have said to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sipmesh.routing.identity.alias import name_of
from sipmesh.routing.identity.assertion import asserted, is_claimed
from sipmesh.routing.identity.privacy import is_anonymous
from sipmesh.routing.identity.sender import ServerSender, may_be_number
from sipmesh.routing.numbers.application_table import ApplicationTable
from sipmesh.routing.numbers.e164 import caller_number
from sipmesh.routing.outcome import Answer
from sipmesh.sip.message import Request
from sipmesh.sip.tel import NO_DOMAIN
from sipmesh.sip.uri import SipUri
from sipmesh.trust.code import Code
from sipmesh.trust.role import Role

NO_DOMAINS: Final[frozenset[str]] = frozenset()
NO_APPLICATIONS: Final = ApplicationTable(())


def unknown(aor: str) -> str:  # noqa: ARG001 - the signature of `HomeRule.home_of`
    """Give "": no user is known."""
    return ""


def no_delegate(user: str, boss: str) -> bool:  # noqa: ARG001 - the signature of `HomeRule.is_delegate`
    """Give False: no user may call for another one."""
    return False


@dataclass(frozen=True, slots=True)
class HomeRule:
    """The home pools as a server of the pool *here* knows them.

    *domains* are our SIP domains. *home_of* gives the home pool of a user, "" if it is not known for sure. *lent* are the
    domains of ours that applications behind a pool may speak for: its front ends pass such requests on. *backups* has the
    backup pool of each pool that has one. *is_delegate* tells whether a user may call for another one: then the home pool of the
    delegate asserts the other user, in the first request of a call only. *applications* have numbers that others do not assert.
    """

    here: str
    domains: frozenset[str]
    home_of: Callable[[str], str] = field(default=unknown, repr=False, compare=False)
    lent: Mapping[str, frozenset[str]] = field(default_factory=dict)
    backups: Mapping[str, str] = field(default_factory=dict)
    is_delegate: Callable[[str, str], bool] = field(default=no_delegate, repr=False, compare=False)
    applications: ApplicationTable = field(default=NO_APPLICATIONS, repr=False, compare=False)

    def refused(self, request: Request, sender: ServerSender, *, is_named: bool = False) -> Answer | None:
        """Refuse a request whose P-Asserted-Identity or From is a user of another home pool than that of *sender*.

        A name that an application has by the topology alone is refused if a user has it too.

        *is_named*: From is the name with which the dialog began, so it counts.
        """
        peer = sender.peer
        is_other_pool = peer.role is Role.FRONT_END and peer.pool != self.here
        if peer.pool is None or not (is_other_pool or peer.own is not None):
            return None
        names = asserted(request)
        if not is_named and not is_anonymous(request.from_) and not is_claimed(request.from_, names):
            name = name_of(request.from_)
            if is_other_pool and name is not None and _begins_call(request) and self._is_by_delegate(name, names):
                names = []
            names += [name] if name is not None else []
        for name in names:
            refused = self._refused_name(name, sender, peer.pool) if is_other_pool else self._refused_own(name, sender)
            if refused is not None:
                return refused
        return None

    def _is_by_delegate(self, name: SipUri, names: list[SipUri]) -> bool:
        """Tell whether *name*, which is judged too, is a delegate of the only user who is asserted."""
        return len(names) == 1 and self.is_delegate(name.aor, names[0].aor)

    def _refused_own(self, name: SipUri, sender: ServerSender) -> Answer | None:
        """Refuse a name that the topology gives to an application, and that is a user: the user has proved it.

        A number means the same in all domains: that of another application is refused also at the certified name.
        """
        number = caller_number(name) if may_be_number(name) else ""
        application = self.applications.at("", number) if number else None
        if application is not None and application.pool != sender.peer.pool:
            why = f"{sender.peer.name} may not assert {name.aor}: {number} is a number of {application.pool}"
            return Answer(403, code=Code.ASSERTION_NOT_ALLOWED, why=why)
        if name.host in sender.peer.asserts or not self.home_of(name.aor):
            return None
        why = f"{sender.peer.name} may not assert {name.aor}: there is a user of that name"
        return Answer(403, code=Code.ASSERTION_NOT_ALLOWED, why=why)

    def _refused_name(self, name: SipUri, sender: ServerSender, pool: str) -> Answer | None:
        if name.host not in self.domains and name.host != NO_DOMAIN:
            return None
        user, home = name.aor, ""
        if not may_be_number(name):
            home = self.home_of(user)  # a user has no other user's alias: no further user needs to be looked for
        if not home:
            user = sender.owner_of_name(name) or user
            home = self.home_of(user)
        if (
            home in {"", pool}
            or self.backups.get(home) == pool
            or user.rpartition("@")[2] in self.lent.get(pool, NO_DOMAINS)
        ):
            return None
        why = f"{sender.peer.name} is of {pool} and may not assert {user}, whose home pool is {home}"
        return Answer(403, code=Code.ASSERTION_NOT_ALLOWED, why=why)


def _begins_call(request: Request) -> bool:
    """Tell whether a request is the first one of a call: each later one is of the delegate alone."""
    return request.method == "INVITE" and request.to.tag is None
