"""This release starts on the folder of each earlier one: what was true in it stays true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli.world import FE1, FE2, MGMT, Organisation, until
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.trust.role import Role
from upgrades.conftest import LISTED_UNTIL, at, bob_waits, follow_the_page, password, serve_all, until_good
from upgrades.recorded_folder import RELEASES

FIRST_BUILD = "3f4f5b6"
BEGUN = "example.com begins"
BUILT = (BEGUN, "a second front end, an edge and workers", "example.org is a partner")
VERSIONS = dict.fromkeys(RELEASES, BUILT) | {FIRST_BUILD: (BEGUN, "a second front end")}
STOLEN = f"stolen/{FE2}.pem"
OLD_BY = timedelta(days=25)


def test_versions_and_audit_log_of_an_earlier_release_are_read(left_behind: Organisation, release: str) -> None:
    shown = left_behind.type("topology", "history", "--json").json
    assert tuple(version["why"] for version in shown) == VERSIONS[release]
    assert left_behind.type("audit", "verify").code == 0
    assert left_behind.type("topology", "check").code == 0


def test_users_of_an_earlier_release_log_in_and_get_what_was_stored_for_them(
    left_behind: Organisation, release: str
) -> None:
    """A wrong password is refused. Both releases have users; only one of them stores messages. One of today arrives in both."""
    follow_the_page(left_behind)
    serve_all(left_behind)
    log = left_behind.folder / "bob.log"
    with bob_waits(left_behind, log):
        if release != FIRST_BUILD:
            until("before the update, from alice@example.com", log)
            until("before the update, from carol@example.org", log)
        told = ("message", "--as", "alice@example.com", "--password-stdin", "bob@example.com", "of today")
        assert left_behind.type(*told, *at(left_behind), typed=password(left_behind, "alice")).code == 0
        until("of today", log)
    for name, server in (("alice", FE1), ("bob", FE2)):
        words = ("register", "--as", f"{name}@example.com", "--password-stdin", *at(left_behind, server))
        assert left_behind.type(*words, typed=password(left_behind, name)).code == 0
        assert left_behind.type(*words, typed="another\n").code != 0


@pytest.mark.wide
def test_certificate_that_an_earlier_release_has_revoked_stays_revoked(left_behind: Organisation) -> None:
    """The thief tries at a server that runs; the certificate of today, for the same server, is accepted."""
    follow_the_page(left_behind)
    serve_all(left_behind)
    explained = left_behind.type("explain", left_behind.folder / STOLEN, "--server", FE1, "--json")
    codes = {finding["code"] for finding in explained.json["verdict"]["findings"] if not finding["passed"]}
    assert "revoked" in codes or datetime.now(UTC) > LISTED_UNTIL
    assert explained.code == 1
    rightful = left_behind.type("explain", left_behind.address(FE1, "server"), "--as", FE2)
    assert rightful.code == 0, rightful.out
    for kind in ("pem", "key"):
        (left_behind.folder / "stolen" / f"{FE2}.{kind}").replace(left_behind.folder / "servers" / f"{FE2}.{kind}")
    thief = left_behind.type("explain", left_behind.address(FE1, "server"), "--as", FE2)
    assert thief.code == 1, thief.out


@pytest.mark.wide
def test_server_of_an_earlier_release_gets_its_next_certificate_by_itself(left_behind: Organisation) -> None:
    """Its certificate has five of thirty days left. Management issues the next one."""
    follow_the_page(left_behind)
    place = left_behind.folder / "servers"
    issued = EnterpriseCa.open(left_behind.folder / "ca").issue(
        (FE1, "example.com"), Role.FRONT_END, datetime.now(UTC) - OLD_BY
    )
    issued.write(place / f"{FE1}.pem", place / f"{FE1}.key")
    before = (place / f"{FE1}.pem").read_bytes()
    serve_all(left_behind)
    until("certificate issued", left_behind.folder / f"{MGMT}.log")
    until("new certificate in use", left_behind.folder / f"{FE1}.log")
    assert (place / f"{FE1}.pem").read_bytes() != before
    until_good(left_behind)


@pytest.mark.wide
def test_network_of_an_earlier_release_has_no_fault_after_the_steps_of_the_page(
    left_behind: Organisation, release: str
) -> None:
    follow_the_page(left_behind)
    serve_all(left_behind)
    assert until_good(left_behind)["version"] == len(VERSIONS[release]) + 1
