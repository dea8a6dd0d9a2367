"""Why can this user not log in? What the user database and the running servers know of one user, and the remedies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sipmesh.cli.control_client import FromServer, ask_all
from sipmesh.cli.output import BAD, GOOD, MARKS, WARN, say, say_json, show
from sipmesh.cli.users.accounts import full_address
from sipmesh.cli.users.login_tables import failures_table, registrations_table
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.cli.control_client import ServerAnswer
    from sipmesh.cli.place import Place
    from sipmesh.server.admin.replies import BindingReply, LoginFailureReply, UserReply
    from sipmesh.server.typed_json import Json
    from sipmesh.topology.document.load import Loaded

FRONT_END = "front-end"


@dataclass(slots=True)
class UserReport:
    """One user. *digest* is None if the user database is on another machine; *exists* is None if no server knows it either.

    *similar* is the address of a user with a similar name. *servers* are the servers of the home pool, *asked* the front ends
    that have replied. The *failures* are in the order of time, the latest first.
    """

    user: str
    exists: bool | None
    pool: str = ""
    digest: list[str] | None = None
    similar: str = ""
    servers: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    bindings: list[BindingReply] = field(default_factory=list)
    failures: list[FromServer[LoginFailureReply]] = field(default_factory=list)

    @property
    def not_asked(self) -> list[str]:
        """The servers of the home pool that have not replied here."""
        return [name for name in self.servers if name not in self.asked]

    def remedies(self) -> Iterator[str]:
        """Yield what to do, the most likely remedy first; nothing for a user who is registered and has no failed login."""
        if self.exists is False:
            near = f"did you mean {self.similar}? If not, add the user: " if self.similar else ""
            yield f"{near}sipmesh user add {self.user}"
            return
        flaws = dict.fromkeys(failure.value.class_ for failure in self.failures)
        yield from (remedy for flaw in flaws if (remedy := self._remedy(flaw)))
        if self.not_asked:
            yield f"run this command on the machine of {', '.join(self.not_asked)} also: sipmesh explain {self.user}"
        if not self.bindings and not self.failures and self.asked:
            yield (
                f"no phone has tried this login at {', '.join(self.asked)} since the start. Check that the phone reaches "
                "the client port and trusts our root. Refused links: sipmesh links --refused"
            )

    def _remedy(self, flaw: str) -> str:
        name = self.user.partition("@")[0]
        remedies = {
            "wrong-password": f"set a new password, here and on the phone: sipmesh user password {self.user}",
            "unknown-user": f"the user did not exist when that login failed: log in again as {self.user}",
            "wrong-user-name": f"the phone uses another authentication name: set it to {name}",
            "wrong-algorithm": f"offer the digest algorithms that the phone supports: sipmesh user password {self.user}"
            " --digest sha-256 --digest md5",
            "other-home": f"configure a server of the pool {self.pool} on the phone: {', '.join(self.servers)}",
            "malformed": "the phone sends credentials that break RFC 7616: update its firmware",
        }
        return remedies.get(flaw, "")

    def to_json(self) -> Json:
        """Return the members of the JSON object."""
        return {
            "user": self.user,
            "exists": self.exists,
            "pool": self.pool or None,
            "digest": self.digest,
            "registrations": self.bindings,
            "failed_logins": self.failures,
            "asked": self.asked,
            "not_asked": self.not_asked,
            "faults": self.faults,
            "remedies": list(self.remedies()),
        }


def explain_user(user: str, place: Place, *, as_json: bool) -> bool:
    """Print the report on one user; returns whether the user is registered."""
    loaded = place.in_force()
    report = report_of(full_address(user, loaded), loaded, place)
    if as_json:
        say_json(report)
    else:
        _say(report)
    return bool(report.bindings)


def report_of(address: str, loaded: Loaded, place: Place) -> UserReport:
    """Return what the user database knows, if it is on this machine, and what every running server knows."""
    from sipmesh.routing.registrar.address_of_record import read_address
    from sipmesh.server.admin.replies import USER

    aor = read_address(address).aor
    report = UserReport(aor.removeprefix("sip:"), None)
    _ask_store(report, aor, loaded, place)
    for answer in ask_all(place, USER, user=aor):
        _take(report, answer)
    report.failures.sort(key=lambda failure: failure.value.last_at, reverse=True)
    pool = loaded.topology.pool(report.pool)
    report.servers = [server.name for server in pool.servers] if pool is not None else []
    return report


def _ask_store(report: UserReport, aor: str, loaded: Loaded, place: Place) -> None:
    """Take what the user database knows; on a machine without it, only the servers know the home pool."""
    from sipmesh.topology.document.report import nearest
    from sipmesh.topology.home_pools import home_by_default

    try:
        with place.users() as users:
            known = {user.aor: user for user in users.list()}
    except OperatorError:
        return
    user = known.get(aor)
    report.exists = user is not None
    if user is not None:
        report.pool = user.pool or home_by_default(loaded.topology)
        report.digest = list(map(str, user.algorithms))
    else:
        report.similar = nearest(aor, known).removeprefix("sip:")


def _take(report: UserReport, answer: ServerAnswer[UserReply]) -> None:
    """Take what one server knows; only front ends have users."""
    reply = answer.reply
    if reply is None:
        report.faults.append(f"{answer.server}: {answer.fault}")
    elif reply.role == FRONT_END:
        report.asked.append(answer.server)
        _take_home(report, answer.server, reply)
        _take_bindings(report, reply.bindings)
        report.failures += (FromServer(answer.server, failure) for failure in reply.failures)


def _take_home(report: UserReport, server: str, reply: UserReply) -> None:
    """Take the home pool, or the fault if the server does not know the same as the user database."""
    exists = reply.home is not None
    if not reply.ready:
        report.faults.append(f"{server}: the server has not received the users from management yet")
    elif report.exists is None:
        report.exists, report.pool = exists, reply.home or ""
    elif report.exists is not exists:
        state = "the server does not know this user yet" if report.exists else "the server still knows this user"
        report.faults.append(f"{server}: {state}; see: sipmesh status")


def _take_bindings(report: UserReport, bindings: Iterable[BindingReply]) -> None:
    """Add bindings, each once: the servers of a pool share them, and only the server with the link knows its id."""
    places = {(known.server, known.contact): place for place, known in enumerate(report.bindings)}
    for binding in bindings:
        place = places.get((binding.server, binding.contact))
        if place is None:
            report.bindings.append(binding)
        elif report.bindings[place].link is None:
            report.bindings[place] = binding


def _say(report: UserReport) -> None:
    if report.exists is False:
        say(f"{report.user} is not a user.", style=BAD)
    else:
        home = f", home pool {report.pool}" if report.pool else ""
        digest = f", digest {' or '.join(report.digest)}" if report.digest else ""
        say(f"{report.user} is {'a user' if report.exists else 'not known to be a user'}{home}{digest}.", style="bold")
    say(*report.faults, style=WARN)
    if report.bindings:
        say("Registered:", style=GOOD)
        show(registrations_table("", report.bindings))
    else:
        asked = f" at {', '.join(report.asked)}" if report.asked else ": no front end runs here"
        say(f"Not registered{asked}.", style=BAD)
    if report.failures:
        show(failures_table("Failed logins", report.failures))
    say(*(f"  → {remedy}" for remedy in report.remedies()), style=MARKS["→"])
