"""`sipmesh user password --device`: a directory user's phone logs in by it, and is out within a second of its end."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from cli.world import sipmesh
from support.directory_ca import HOST, DirectoryCa
from support.managed import MGMT, Managed, build_managed, build_published
from support.network import FE1
from support.openldap import OpenLdap, write_password
from support.running import until, within

PROMISED_S = 1.0


def test_password_is_shown_once_and_the_database_has_hashes_alone(tmp_path: Path) -> None:
    organisation = build_published(tmp_path / "o")
    place = ("--topology", organisation.file)
    made = json.loads(sipmesh("user", "password", "alice", "--device", "desk", "--json", *place).out)
    assert (made["user"], made["device"], made["login"]) == ("alice@example.test", "desk", "alice+desk")
    shown = sipmesh("user", "password", "alice", "--device", "car", *place).out
    assert "alice+car" in shown
    assert made["password"] not in sipmesh("user", "devices", "alice", *place).out
    stored = b"".join(path.read_bytes() for path in organisation.folder.rglob("*") if path.is_file())
    assert made["password"].encode() not in stored
    assert b"alice+desk" not in stored  # H(A1) has the name


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("alice", "--device", "My Phone"), "no name of a device"),
        (("alice", "--device", "desk"), "already"),
        (("nobody", "--device", "desk"), "nobody@example.test"),
        (("bob", "--device", "desk"), "is disabled"),
        (("desks", "--device", "desk"), "is a group"),
        (("alice", "--device", "car", "--digest", "md5"), "leave out --digest"),
        (("alice", "--json"), "--json is for --device"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, given: tuple[str, ...], why: str) -> None:
    place = ("--topology", build_published(tmp_path / "o").file)
    assert sipmesh("group", "add", "desks", "--member", "alice", *place).code == 0
    assert sipmesh("user", "password", "alice", "--device", "desk", *place).code == 0
    assert sipmesh("user", "disable", "bob", *place).code == 0
    refused = sipmesh("user", "password", *given, *place)
    assert (refused.code, why in " ".join(refused.err.split())) == (1, True), refused.err


@pytest.mark.wide
@pytest.mark.peer("openldap")
@within(150.0)  # five commands are processes of their own
async def test_user_from_the_directory_gets_in_by_it_and_its_end_closes_this_device_alone(tmp_path: Path) -> None:
    """Carol has no local password. Her desk phone is out, with its registration, and her mobile phone stays."""
    ca, organisation = DirectoryCa(), build_managed(tmp_path / "o")
    with OpenLdap(tmp_path / "l", ca.server(HOST)) as ldap:
        write_password(organisation.folder)
        ldap.person("carol")
        organisation.document["directory"] = ldap.keys(**ca.write(organisation.folder))
        organisation.write()
        async with Managed(organisation, tmp_path) as network:
            await network.start(MGMT, FE1)
            await network.type("directory", "apply")
            await until(lambda: network.nodes[FE1].users.ready)
            phones, passwords = {}, {}
            for device in ("desk", "mobile"):
                printed = await network.type("user", "password", "carol", "--device", device)
                passwords[device] = next(line.split()[-1] for line in printed.splitlines() if " password  " in line)
                phones[device] = phone = await network.phone(FE1, "carol")
                assert (await phone.register(password=passwords[device])).status == 401  # as carol
                phone.login = f"carol+{device}"
                assert (await phone.register(password=passwords["desk"])).status == (200 if device == "desk" else 401)
                assert (await phone.register(password=passwords[device])).status == 200
            began = time.monotonic()
            await asyncio.gather(network.type("user", "devices", "carol", "--revoke", "desk"), phones["desk"].hung_up())
            assert time.monotonic() - began < 10 * PROMISED_S
            bindings = (await network.ask(FE1, "registrations"))["bindings"]
            assert [binding["link"] is not None for binding in bindings] == [True]
            assert (await phones["mobile"].register(password=passwords["mobile"])).status == 200
            again = await network.phone(FE1, "carol")
            again.login = "carol+desk"
            assert (await again.register(password=passwords["desk"])).status == 401
