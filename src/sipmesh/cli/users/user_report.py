"""Why can this user not log in? What the user database and the running servers know of one user, and the remedies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sipmesh.cli.control_client import FromServer, ask_all
from sipmesh.cli.output import BAD, GOOD, MARKS, WARN, say, say_json, show
from sipmesh.cli.users.client_links import client_refusals_table, link_remedies
from sipmesh.cli.users.login_tables import failures_table, logins_table, registrations_table, why_digest
from sipmesh.errors import OperatorError
from sipmesh.storage.users.account_report import shown_name
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from sipmesh.cli.place import Place
    from sipmesh.server.admin.local_servers import ServerAnswer
    from sipmesh.server.admin.replies import (
        BindingReply,
        ClientRefusalReply,
        LoginFailureReply,
        LoginReply,
        UserReply,
    )
    from sipmesh.storage.users.user import User
    from sipmesh.topology.document.load import Loaded
    from sipmesh.typed_json import Json

FRONT_END = "front-end"
MOST_REFUSALS = 10
"""Failed client links that are shown where none is known to be of the user."""


@dataclass(slots=True)
class UserReport:
    """One user. *digest* is None if the user database is on another machine; *exists* is None if no server knows it either.

    *similar* is the address of a user with a similar name. *servers* are the servers of the home pool, *asked* the front ends
    that have replied. The *logins* and the *failures* are in the order of time, the latest first, and so are the *refusals* of
    client links from any address.
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
    aliases: list[str] = field(default_factory=list)
    logins: list[FromServer[LoginReply]] = field(default_factory=list)
    refusals: list[FromServer[ClientRefusalReply]] = field(default_factory=list)

    @property
    def addresses(self) -> set[str]:
        """The addresses that this user has used."""
        logins, failures = ([row.value.remote for row in self.logins], [row.value.remote for row in self.failures])
        links = [row.remote.rpartition(":")[0].strip("[]") for row in self.bindings if row.remote]
        return {*logins, *failures, *links}

    @property
    def failed_links(self) -> list[FromServer[ClientRefusalReply]]:
        """The failed client links that may be of this user's phone, newest first.

        They come from an address of the user. If the user is not registered and has no address, each may be of its phone.
        """
        of_user = [row for row in self.refusals if row.value.remote in self.addresses]
        return of_user or ([] if self.bindings or self.failures else self.refusals[:MOST_REFUSALS])

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
        if not self.bindings:
            yield from link_remedies(self.failed_links)
        if self.not_asked:
            yield f"run this command on the machine of {', '.join(self.not_asked)} also: sipmesh explain {self.user}"
        if not self.bindings and not self.failures and not self.failed_links and self.asked:
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
            "not-answered": "the phone has asked to log in, and has not answered the challenge: it has no password, or it "
            "supports none of the digest algorithms, or it fails where two are offered. Offer what it supports, often MD5 alone: "
            f"sipmesh user password {self.user} --digest md5",
            "token-refused": "the access token of the phone does not count here: compare issuer, audience and claim at its "
            "provider with `oauth`: sipmesh topology show",
            "token-issuer-away": "the front ends cannot ask the provider of access tokens: let them reach the issuer of "
            "`oauth` by HTTPS",
            "other-home": f"see why a server of the pool {self.pool} has refused the login: {', '.join(self.servers)}",
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
            "aliases": self.aliases,
            "registrations": self.bindings,
            "logins": self.logins,
            "failed_logins": self.failures,
            "failed_links": self.failed_links,
            "asked": self.asked,
            "not_asked": self.not_asked,
            "faults": self.faults,
            "remedies": list(self.remedies()),
        }


def explain_user(user: str, place: Place, *, as_json: bool) -> bool:
    """Print the report on one user; returns whether the user is registered."""
    loaded = place.in_force()
    report = report_of(_full_name(user, loaded), loaded, place)
    if as_json:
        say_json(report)
    else:
        _say(report)
    return bool(report.bindings)


def _full_name(user: str, loaded: Loaded) -> str:
    """Return the address of a user, or the SIP form of a telephone number, which is an alias."""
    from sipmesh.routing.identity.alias import read_alias
    from sipmesh.sip.tel import is_tel, sip_form

    if "@" in user:
        return full_address(user, loaded.topology)
    key = read_alias(user, loaded.topology.sip_domains[0])
    return sip_form(key).aor if is_tel(key) else key


def report_of(address: str, loaded: Loaded, place: Place) -> UserReport:
    """Return what the user database knows, if it is on this machine, and what every running server knows."""
    from sipmesh.routing.registrar.address_of_record import read_address
    from sipmesh.server.admin.replies import USER

    aor = read_address(address).aor
    report = UserReport(aor.removeprefix("sip:"), None)
    _ask_store(report, aor, loaded, place)
    for answer in ask_all(place, USER, user=f"sip:{report.user}"):
        _take(report, answer)
    report.failures.sort(key=lambda failure: failure.value.last_at, reverse=True)
    report.logins.sort(key=lambda login: login.value.at, reverse=True)
    report.refusals.sort(key=lambda refusal: refusal.value.last_at, reverse=True)
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
    user = known.get(aor) or _named_otherwise(aor, known)
    report.exists = user is not None
    if user is not None:
        report.user, report.aliases = user.aor.removeprefix("sip:"), list(map(shown_name, user.aliases))
        report.pool = user.pool or home_by_default(loaded.topology)
        report.digest = list(map(str, user.algorithms))
    else:
        report.similar = nearest(aor, known).removeprefix("sip:")


def _named_otherwise(aor: str, known: Mapping[str, User]) -> User | None:
    """Return the user whose address in lower case, or whose alias, *aor* is."""
    from sipmesh.routing.identity.alias import alias_keys

    for key in alias_keys(aor):
        found = known.get(key) or next((user for user in known.values() if key in user.aliases), None)
        if found is not None:
            return found
    return None


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
        report.logins += (FromServer(answer.server, login) for login in reply.logins)
        report.refusals += (FromServer(answer.server, refusal) for refusal in reply.refusals)
        if report.digest is None and reply.home is not None and reply.user:
            report.user, report.aliases = reply.user, list(map(shown_name, reply.aliases))


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
    if report.aliases:
        say(f"Aliases: {', '.join(report.aliases)}")
    say(*report.faults, style=WARN)
    if report.bindings:
        say("Registered:", style=GOOD)
        show(registrations_table("", report.bindings))
    else:
        asked = f" at {', '.join(report.asked)}" if report.asked else ": no front end runs here"
        say(f"Not registered{asked}.", style=BAD)
    if report.logins:
        show(logins_table("Last logins", report.logins))
        say(*dict.fromkeys(f"  {why_digest(row.value)}" for row in report.logins), style="dim")
    if report.failed_links:
        whose = "its addresses" if report.addresses else "any address"
        show(client_refusals_table(f"Client links that failed, from {whose}", report.failed_links))
    if report.failures:
        show(failures_table("Failed logins", report.failures))
    say(*(f"  → {remedy}" for remedy in report.remedies()), style=MARKS["→"])
