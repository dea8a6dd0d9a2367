"""Seconds from a change in a real directory until a phone is out or in, for each kind of change."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sipmesh.storage.users.user import User
from sipmesh.storage.users.user_database import Users
from support.directory_ca import HOST, DirectoryCa
from support.managed import MGMT, Managed, build_managed
from support.network import FE1
from support.openldap import GROUPS as OTHER_PLACE
from support.openldap import PEOPLE as LDAP_PEOPLE
from support.openldap import OpenLdap, write_password
from support.peer import Peer
from support.running import until, within
from support.samba_ad import DOMAIN, PASSWORD, PEOPLE, SambaAd

pytestmark = [pytest.mark.wide, pytest.mark.peer("openldap")]

PROMISED_S = 60.0


@dataclass
class Changed:
    """A directory, and what changes the account carol in it, by name."""

    keys: Mapping[str, Any]
    password: str
    changes: Mapping[str, Callable[[], object]]


@pytest.fixture(name="ca")
def _ca() -> DirectoryCa:
    return DirectoryCa()


@pytest.fixture(name="openldap")
def _openldap(tmp_path: Path, ca: DirectoryCa) -> Iterator[Changed]:
    with OpenLdap(tmp_path / "l", ca.server(HOST)) as ldap:
        for name in ("u1", "u2", "u3", "u4", "u5"):
            ldap.person(name)
        old, new = f"uid=carol,{LDAP_PEOPLE}", f"uid=caroline,{LDAP_PEOPLE}"
        changes: dict[str, Callable[[], object]] = {
            "create": lambda: ldap.person("carol"),
            "rename": lambda: ldap.rename(old, "caroline"),
            "disable": lambda: ldap.change(new, pwdAccountLockedTime="000001010000Z"),
            "re-enable": lambda: ldap.change(new, pwdAccountLockedTime=None),
            "move": lambda: ldap.move(new, OTHER_PLACE),
            "move back": lambda: ldap.move(f"uid=caroline,{OTHER_PLACE}", LDAP_PEOPLE),
            "delete": lambda: ldap.delete(new),
        }
        yield Changed(ldap.keys(most_loss=100), "correct horse", changes)


@pytest.fixture(name="samba")
def _samba(tmp_path: Path, ca: DirectoryCa) -> Iterator[Changed]:
    with SambaAd(tmp_path / "dc1", ca.server(HOST)) as samba:
        samba.let_see_deletions()
        samba.person("u1")
        carol = f"CN=carol,{PEOPLE}"
        changes: dict[str, Callable[[], object]] = {
            "create": lambda: samba.person("carol"),
            "rename": lambda: samba.change(carol, sAMAccountName="caroline"),
            "disable": lambda: samba.change(carol, userAccountControl="514"),
            "re-enable": lambda: samba.change(carol, userAccountControl="512"),
            "move": lambda: samba.move(carol, f"CN=Users,{DOMAIN}"),
            "move back": lambda: samba.move(f"CN=carol,CN=Users,{DOMAIN}", PEOPLE),
            "delete": lambda: samba.delete(carol),
        }
        yield Changed(samba.keys(most_loss=100), PASSWORD, changes)


def _found(users: Users, name: str) -> User | None:
    return next((user for user in users.list() if user.aor == f"sip:{name}@example.test"), None)


async def logged_in(network: Managed, user: str) -> Peer:
    """Give a phone of *user* that has registered with a new password for it, as soon as the user is here."""
    users = Users(network.organisation.load().users_url)
    try:
        await until(lambda: (found := _found(users, user)) is not None and found.disabled is None)
    finally:
        users.close()
    device = f"d{time.monotonic_ns()}"
    printed = await network.type("user", "password", user, "--device", device)
    password = next(line.split()[-1] for line in printed.splitlines() if " password  " in line)
    phone = await network.phone(FE1, user)
    phone.login = f"{user}+{device}"
    assert (await phone.register(password=password)).status == 200
    return phone


@pytest.mark.parametrize("kind", ["openldap", pytest.param("samba", marks=pytest.mark.peer("samba"))])
@within(400.0)
async def test_phone_is_out_or_in(kind: str, tmp_path: Path, ca: DirectoryCa, request: pytest.FixtureRequest) -> None:
    """By the intervals of the management server itself; the promise is a minute."""
    directory: Changed = request.getfixturevalue(kind)
    organisation = build_managed(tmp_path / "o")
    write_password(organisation.folder, directory.password)
    organisation.document["directory"] = {**directory.keys, **ca.write(organisation.folder)}
    organisation.write()
    figures = [f"{kind}: seconds until the phone is out or in"]
    async with Managed(organisation, tmp_path) as network:
        await network.start(MGMT, FE1)
        await until(lambda: network.nodes[FE1].users.ready and network.master.directory.report.at is not None)
        phone: Peer | None = None
        for name, change in directory.changes.items():
            began = time.monotonic()
            change()
            changed = time.monotonic()
            if name in {"create", "re-enable", "move back"}:
                phone = await logged_in(network, "carol" if name == "create" else "caroline")
            else:
                assert phone is not None
                await phone.hung_up()
            took = time.monotonic() - changed
            assert took < 10 * PROMISED_S
            figures.append(f"{name}: {took:.1f} (the change itself {changed - began:.1f})")
            if name == "rename":
                phone = await logged_in(network, "caroline")
    sys.stdout.write("\n".join((*figures, "")))
