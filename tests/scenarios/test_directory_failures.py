"""Each failure of a directory, with a real OpenLDAP and a phone: all users stay, and it counts again when it is back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from sipmesh.storage.users.user_database import Users
from support.directory_ca import HOST, DirectoryCa
from support.following import settled
from support.managed import MGMT, Managed, build_managed
from support.network import FE1
from support.openldap import GROUPS, PEOPLE, SUFFIX, OpenLdap, add, write_password
from support.running import within

if TYPE_CHECKING:
    from sipmesh.demo.forge import Forged

pytestmark = [pytest.mark.peer("openldap"), pytest.mark.wide]

COUNT: Final = 10
LOCKED: Final = "000001010000Z"


@dataclass
class Failing:
    """The directory *ldap*, and the *network* whose management follows it."""

    ca: DirectoryCa
    ldap: OpenLdap
    network: Managed
    right: Forged

    def presents(self, certificate: Forged) -> None:
        """Let the directory present another certificate."""
        self.ldap.stop()
        certificate.write(self.ldap.folder, "server")
        self.ldap.start()

    def configured(self, old: str, new: str) -> None:
        """Change its configuration."""
        self.ldap.stop()
        file = self.ldap.folder / "slapd.conf"
        file.write_text(file.read_text().replace(old, new))
        self.ldap.start()

    async def revoked(self, *certificates: Forged) -> None:
        """Give management a CRL that has these certificates."""
        self.ca.write(self.network.organisation.folder, *certificates)
        await self.network.publish()

    def locked(self, value: str | None) -> None:
        """Take access from two fifths of the people, or give it back."""
        for number in range(4, 8):
            self.ldap.change(f"uid=u{number},{PEOPLE}", pwdAccountLockedTime=value)

    async def reads(self, **keys: Any) -> None:
        """Change the keys of ``directory``."""
        await self.network.publish(lambda document: document["directory"].update(keys))

    def with_access(self) -> set[str]:
        """The users who may log in."""
        users = Users(self.network.organisation.load().users_url, in_memory=False)
        found = {user.aor for user in users.list() if user.disabled is None}
        users.close()
        return found


Step = Callable[[Failing], object]

FAILURES: Final[dict[str, tuple[Step, str, Step]]] = {
    "no answer": (lambda it: it.ldap.stop(), "cannot be reached", lambda it: it.ldap.start()),
    "size limit": (
        lambda it: it.configured("size.prtotal=unlimited", "size.prtotal=3"),
        "Size limit exceeded",
        lambda it: it.configured("size.prtotal=3", "size.prtotal=unlimited"),
    ),
    "40 % fewer": (
        lambda it: it.locked(LOCKED),
        "users would lose their access",
        lambda it: it.locked(None),
    ),
    "wrong name": (
        lambda it: it.presents(it.ca.server("dc9.corp.test")),
        "Hostname mismatch",
        lambda it: it.presents(it.right),
    ),
    "expired certificate": (
        lambda it: it.presents(it.ca.server(HOST, begins=timedelta(days=-9), ends=timedelta(days=-1))),
        "certificate has expired",
        lambda it: it.presents(it.right),
    ),
    "revoked certificate": (lambda it: it.revoked(it.right), "certificate revoked", lambda it: it.revoked()),
    "referral": (
        lambda it: it.reads(base=f"ou=remote,{SUFFIX}"),
        "referrals are not followed",
        lambda it: it.reads(base=PEOPLE),
    ),
    "no entry": (lambda it: it.reads(filter="(uid=none)"), "no entry that fits", lambda it: it.reads(filter="(uid=*)")),
    "group of a rule is gone": (
        lambda it: it.reads(pools=[{"group": f"cn=gone,{GROUPS}", "pool": "pool1.example.test"}]),
        "cn=gone",
        lambda it: it.reads(pools=[]),
    ),
}


async def done(what: object) -> None:
    """Wait for a step, if it has to be waited for."""
    if isinstance(what, Awaitable):
        await what


@within(400.0)
async def test_each_failure_changes_no_user_and_the_directory_counts_again_afterwards(tmp_path: Path) -> None:
    """The phone stays on its link, and registers again on it. What changed in the meantime is taken afterwards."""
    ca, organisation = DirectoryCa(), build_managed(tmp_path / "o")
    right = ca.server(HOST)
    with OpenLdap(tmp_path / "l", right) as ldap:
        write_password(organisation.folder)
        for uid in ("alice", "bob", *(f"u{number}" for number in range(COUNT - 2))):
            ldap.person(uid)
        with ldap.administrator() as admin:
            dn = f"ou=remote,{SUFFIX}"
            add(admin, dn, objectClass=["referral", "extensibleObject"], ref=f"ldap://127.0.0.1:9/{dn}", ou="remote")
        organisation.document["directory"] = ldap.keys(**ca.write(organisation.folder))
        organisation.write()
        async with Managed(organisation, tmp_path) as network:
            await network.start(MGMT, FE1)
            phone = await network.agent("alice", FE1)
            await settled(network)
            await network.type("directory", "adopt", "--all")
            await settled(network)
            failing = Failing(ca, ldap, network, right)
            for name, (breaks, reason, mends) in FAILURES.items():
                before = failing.with_access()
                await done(breaks(failing))
                await settled(network, reason)
                assert failing.with_access() == before, name
                assert (await phone.register()).status == 200, name
                await done(mends(failing))
                new = ldap.person(f"after-{name.split()[0].strip('4')}{len(before)}", description=name)
                await settled(network)
                assert failing.with_access() == before | {f"sip:{new.partition(',')[0][4:]}@example.test"}, name
                assert (await phone.register()).status == 200, name
