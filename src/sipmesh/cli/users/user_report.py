"""Why can this user not log in? What the users' store and the running servers know of one user, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sipmesh.cli.control_client import ask_all
from sipmesh.cli.output import BAD, GOOD, MARKS, WARN, say, say_json, show
from sipmesh.cli.users.accounts import full_address
from sipmesh.cli.users.login_tables import failures_table, registrations_table
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.cli.control_client import ServerAnswer
    from sipmesh.cli.place import Place
    from sipmesh.topology.document.load import Loaded

FRONT_END = "front-end"


@dataclass(slots=True)
class UserReport:
    """One user: the store's facts are None where the store is on another machine, *exists* is None where nobody knows."""

    user: str
    exists: bool | None
    pool: str = ""
    digest: list[str] | None = None
    similar: str = ""
    servers: list[str] = field(default_factory=list)  # of the home pool
    asked: list[str] = field(default_factory=list)  # front ends that have answered
    faults: list[str] = field(default_factory=list)
    bindings: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)

    @property
    def not_asked(self) -> list[str]:
        """The servers of the home pool that have not answered here."""
        return [name for name in self.servers if name not in self.asked]

    def remedies(self) -> Iterator[str]:
        """What to do, the most likely first; nothing for a user who is registered and has not failed since."""
        if self.exists is False:
            near = f"did you mean {self.similar}? If not, add the user: " if self.similar else ""
            yield f"{near}sipmesh user add {self.user}"
            return
        flaws = dict.fromkeys(one["class"] for one in self.failures)
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
        said = {
            "wrong-password": f"set a new password, here and on the phone: sipmesh user password {self.user}",
            "unknown-user": f"the user did not exist when that login failed: log in again as {self.user}",
            "wrong-user-name": f"the phone uses another authentication name: set it to {name}",
            "wrong-algorithm": f"offer the digest algorithms that the phone supports: sipmesh user password {self.user}"
            " --digest sha-256 --digest md5",
            "other-home": f"configure a server of the pool {self.pool} on the phone: {', '.join(self.servers)}",
            "malformed": "the phone sends credentials that break RFC 7616: update its firmware",
        }
        return said.get(flaw, "")

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
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
    """Tell all of one user; whether it is registered."""
    loaded = place.in_force()
    report = report_of(full_address(user, loaded), loaded, place)
    if as_json:
        say_json(report.to_json())
    else:
        _say(report)
    return bool(report.bindings)


def report_of(address: str, loaded: Loaded, place: Place) -> UserReport:
    """Ask the users' store, where it is here, and every running server."""
    from sipmesh.routing.registrar.address_of_record import read_address

    aor = read_address(address).aor
    report = UserReport(aor.removeprefix("sip:"), None)
    _ask_store(report, aor, loaded, place)
    for answer in ask_all(place, "user", user=aor):
        _take(report, answer)
    report.failures.sort(key=lambda one: one["last_at"], reverse=True)
    pool = loaded.topology.pool(report.pool)
    report.servers = [server.name for server in pool.servers] if pool is not None else []
    return report


def _ask_store(report: UserReport, aor: str, loaded: Loaded, place: Place) -> None:
    """What the store says; on a machine that has none, the servers know the home and nothing more."""
    from sipmesh.topology.document.report import nearest
    from sipmesh.topology.home_pools import home_by_default

    try:
        with place.users() as users:
            everybody = {one.aor: one for one in users.list()}
    except OperatorError:
        return
    held = everybody.get(aor)
    report.exists = held is not None
    if held is not None:
        report.pool = held.pool or home_by_default(loaded.topology)
        report.digest = [str(one) for one in held.algorithms]
    else:
        report.similar = nearest(aor, everybody).removeprefix("sip:")


def _take(report: UserReport, answer: ServerAnswer) -> None:
    """Take what one server knows; the pool's servers share their bindings, and each row counts once."""
    if answer.fault:
        report.faults.append(f"{answer.server}: {answer.fault}")
        return
    told = answer.result
    if told["role"] != FRONT_END:
        return
    report.asked.append(answer.server)
    if not told["ready"]:
        report.faults.append(f"{answer.server}: the server has not received the users from management yet")
    elif report.exists is None:
        report.exists, report.pool = told["home"] is not None, told["home"] or ""
    elif report.exists is not (told["home"] is not None):
        state = "the server does not know this user yet" if report.exists else "the server still knows this user"
        report.faults.append(f"{answer.server}: {state}; see: sipmesh status")
    known = {(one["server"], one["contact"]): one for one in report.bindings}
    for row in told["bindings"]:
        before = known.get((row["server"], row["contact"]))
        if before is None:
            report.bindings.append(row)
        elif before["link"] is None:  # only the server that has the link knows it
            before.update(row)
    report.failures += [{"server": answer.server, **one} for one in told["failures"]]


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
