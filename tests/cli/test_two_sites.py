"""An organisation from nothing to two sites, eight servers and one partner, by commands alone: no file is edited."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.world import Organisation, sipmesh

DOMAIN, PARTNER = "example.com", "partner.test"
GROWTH = """\
add site berlin
add site paris
change mgmt site=berlin
change pool1 site=berlin
add server --pool pool1
add pool --role front-end --site paris --address {here} --address {here}
add pool --role edge --site berlin --next-hop pool1 --address {here} --address {here}
add application bot --site paris --next-hop pool2 --address {here}
add domain example.net
"""


def address(network: int) -> str:
    """An address of this machine that no other process uses, so that every port of it is free."""
    return f"127.{network}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"


def made(folder: Path, domain: str, here: str, growth: str) -> Organisation:
    """Make an organisation in *folder*, and let it grow by a command for each line."""
    assert sipmesh("init", domain, "--dir", folder, "--address", here).code == 0
    organisation = Organisation(folder, domain)
    for line in growth.format(here=here).splitlines():
        typed = organisation.type("topology", *shlex.split(line))
        assert typed.code == 0, f"{line}\n{typed.out}{typed.err}"
    applied = organisation.type("topology", "apply", "-m", "two sites", "--json")
    assert applied.code == 0, applied.out + applied.err
    return organisation


def edge_of(organisation: Organisation) -> str:
    """The name and port by which partners know the edge, as DNS would tell them."""
    records = organisation.type("topology", "dns", "--for", "partners", "--json").json
    _, _, port, target = next(one["data"].split() for one in records if one["type"] == "SRV")
    return f"{target.rstrip('.')}:{port}"


def befriend(ours: Organisation, theirs: Organisation, where: str) -> None:
    ca = theirs.folder / "ca"
    given = ("--ca", ca / "root.pem", "--crl", ca / "root.crl", "--crl", ca / "issuing.crl", "--address", where)
    added = ours.type("partner", "add", theirs.domain, "--edge", edge_of(theirs), *given)
    assert added.code == 0, added.out + added.err


def servers_of(organisation: Organisation) -> list[str]:
    shown = organisation.type("topology", "show", "--json").json
    return [server["name"] for pool in shown["pools"] for server in pool["servers"]]


@pytest.fixture(name="pair", scope="module")
def _pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Organisation, Organisation]]:
    """Both organisations run, each in one process."""
    ours = made(tmp_path_factory.mktemp("o") / "o", DOMAIN, address(54), GROWTH)
    theirs = made(tmp_path_factory.mktemp("p") / "p", PARTNER, address(55), "add pool --role edge --address {here}\n")
    befriend(ours, theirs, address(55))
    befriend(theirs, ours, address(54))
    for organisation, user, *pool in ((ours, "alice", "pool1"), (ours, "bob", "pool2"), (theirs, "carol")):
        home = ("--pool", f"{pool[0]}.{DOMAIN}") if pool else ()
        organisation.add_user(f"{user}@{organisation.domain}", *home)
    try:
        for organisation in (ours, theirs):
            organisation.serve_together(*(name for name in servers_of(organisation) if not name.startswith("bot.")))
        yield ours, theirs
    finally:
        for organisation in (ours, theirs):
            organisation.stop()


def test_network_has_what_was_said(pair: tuple[Organisation, Organisation]) -> None:
    shown = pair[0].type("topology", "show", "--json").json
    sites = {pool["name"].partition(".")[0]: (pool["site"], len(pool["servers"])) for pool in shown["pools"]}
    assert sites == {
        "mgmt": (None, 1),
        "pool1": ("berlin", 2),
        "pool2": ("paris", 2),
        "sip": ("berlin", 2),
        "bot": ("paris", 1),
    }
    assert sum(count for _, count in sites.values()) == 8
    assert pair[0].type("topology", "check", "--json").json["warnings"] == []


def test_links_of_both_organisations_work(pair: tuple[Organisation, Organisation]) -> None:
    ours, theirs = pair
    verified = ours.type("topology", "verify", "--json").json
    broken = [
        result for result in verified if not result["passed"] and not result["check"]["target"].startswith("bot.")
    ]
    assert broken == []
    assert len(verified) > 30
    probed = ours.type("partner", "probe", PARTNER, "--json")
    assert (probed.code, sorted(probed.json["edges"])) == (0, [f"edge1.{DOMAIN}", f"edge2.{DOMAIN}"])
    assert theirs.type("partner", "probe", DOMAIN).code == 0


def test_simulation_agrees_with_the_network(pair: tuple[Organisation, Organisation]) -> None:
    ours, theirs = pair
    certificate = theirs.folder / "servers" / f"edge1.{PARTNER}.pem"
    way = ("topology", "simulate", "--from", PARTNER, "--to", DOMAIN, "--certificate", certificate, "--user")
    assert ours.type(*way, f"carol@{PARTNER}").code == 0
    assert ours.type(*way, f"alice@{DOMAIN}").code == 1


@pytest.mark.parametrize("reader", [f"bob@{DOMAIN}", f"carol@{PARTNER}"])
def test_message_reaches_the_other_site_and_the_partner(pair: tuple[Organisation, Organisation], reader: str) -> None:
    """The reader is away: the front ends of the home pool take the message, and store it."""
    ours, login = pair[0], ("--as", f"alice@{DOMAIN}", "--password-stdin")
    sent = ours.type("message", *login, reader, "hello", "--json", typed=f"alice@{DOMAIN}-secret\n")
    assert (sent.code, sent.json["status"]) == (0, 202), sent.out + sent.err
