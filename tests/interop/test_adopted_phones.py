"""Real phones of local users who move to a directory: the phones stay registered, and notice nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sql

from interop.baresip import Baresip
from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.organisation import Organisation
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from storage.databases import shell
from support.directory_ca import HOST, DirectoryCa
from support.following import settled
from support.managed import MGMT, Managed, build_managed
from support.network import FE1
from support.openldap import OpenLdap, write_password
from support.running import until, within

pytestmark = [pytest.mark.peer("baresip"), pytest.mark.peer("openldap"), pytest.mark.wide]

PEOPLE: Final = ("dora", "emil")
TABLES: Final = {
    "users": ("ha1_sha256", "ha1_md5", "generation", "created", "pool"),
    "users_devices": ("device", "ha1_sha256", "ha1_md5", "generation", "created"),
    "users_aliases": ("alias", "created"),
}


def stored(organisation: Organisation) -> tuple[Any, ...]:
    """What the database has of users and devices: passwords, generations, aliases."""
    with shell(organisation.load().users_url) as db:
        found = (sql.table(name, sql.column("aor"), *map(sql.column, columns)) for name, columns in TABLES.items())
        return tuple(db.execute(sql.select(table).order_by(*table.c)).all() for table in found)


@asynccontextmanager
async def phones(network: Managed, folder: Path) -> AsyncIterator[list[Baresip]]:
    """Both phones, registered at the front end."""
    organisation, names = network.organisation, NameServer({(FE1, "A"): ["127.0.0.1"]})
    await names.start("127.0.0.1")
    server = f"{FE1}:{organisation.ports[FE1][LinkKind.CLIENT]}"
    made = [
        Baresip(
            *(folder / user, user, f"{user}-secret", "example.test", server),
            anchor=organisation.root,
            dns=names.setting,
            records=False,
        )
        for user in PEOPLE
    ]
    try:
        async with made[0], made[1]:
            for phone in made:
                await phone.registered()
            yield made
    finally:
        names.close()


async def called(caller: Baresip, callee: Baresip) -> None:
    """Let one phone call the other by its name, and hang up."""
    await caller.command("dial", f"sip:{callee.user}@example.test")
    await callee.event("CALL_ESTABLISHED")
    await caller.event("CALL_ESTABLISHED")
    await caller.command("hangup")
    await callee.event("CALL_CLOSED")


async def links(network: Managed) -> set[str]:
    """The links of clients at the front end."""
    return {link["id"] for link in await network.ask(FE1, "links") if link["kind"] == "client"}


@within(300.0)
async def test_local_users_move_to_the_directory_and_their_phones_stay(tmp_path: Path) -> None:
    ca, organisation = DirectoryCa(), build_managed(tmp_path / "o")
    organisation.add_users(*PEOPLE, algorithms=(Algorithm.MD5,))  # baresip knows no other
    users = Users(organisation.load().users_url)
    users.add_alias("dora@example.test", "+49301")
    users.close()
    with OpenLdap(tmp_path / "l", ca.server(HOST)) as ldap:
        write_password(organisation.folder)
        ldap.person("dora", telephoneNumber="+49301", displayName="Dora")
        ldap.person("emil", displayName="Emil")
        organisation.write()
        async with Managed(organisation, tmp_path) as network:
            await network.start(MGMT, FE1)
            await until(lambda: network.nodes[FE1].users.ready)
            await network.type("user", "password", "dora", "--device", "desk")
            async with phones(network, tmp_path / "phones") as (dora, emil):
                await called(emil, dora)
                before, live = stored(organisation), await links(network)
                for phone in (dora, emil):
                    phone.events.clear()
                keys = ldap.keys(**ca.write(organisation.folder))
                await network.publish(lambda document: document.update(directory=keys))
                await settled(network)
                assert "2 users adopted" in await network.type("directory", "adopt", "--all")
                await settled(network)
                assert "2 users from the directory, 0 of them" in await network.type("directory", "status")
                assert (stored(organisation), await links(network)) == (before, live)
                await called(dora, emil)
                await called(emil, dora)
                for phone in (dora, emil):
                    assert not [event for event in phone.events if event.get("class") == "register"], phone.events
                    await phone.registered()
