"""Two organisations become partners by hand, as docs/howto/federate.md says, and one shuts the other out."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.test_two_sites import Desk, lines
from cli.world import DOMAIN, EDGE, FE1, FE2, Organisation, end, name_server, until
from sipmesh.demo.forkserver import Forked
from sipmesh.trust.code import Code
from support.checkout import ROOT

TUTORIAL = ROOT / "docs/tutorial/federation.md"
PARTNER = "partner.test"


def credentials(of: Organisation) -> tuple[str, ...]:
    ca = of.folder / "ca"
    return ("--ca", f"{ca}/root.pem", "--crl", f"{ca}/root.crl", "--crl", f"{ca}/issuing.crl")


@pytest.fixture(name="pair", scope="module")
def _pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Organisation, Organisation]]:
    """example.com writes the partner's edge down, with its address; partner.test finds ours by SRV; both edges run.

    Four servers run for all tests of this module: a test leaves the two organisations partners of each other.
    """
    ours = Organisation.make(tmp_path_factory.mktemp("f") / "a", whole=True)
    theirs = Organisation.make(tmp_path_factory.mktemp("f") / "b", PARTNER, whole=True)
    port = ours.ports[f"{EDGE} partner"]
    records = {
        ("_sipfederationtls._tcp.example.com", "SRV"): [f"1 1 {port} edge.example.com."],
        ("edge.example.com", "A"): ["127.0.0.1"],
    }
    with name_server(records) as setting:
        for organisation in (ours, theirs):
            organisation.file.write_text(organisation.file.read_text() + f"dns: {{servers: ['{setting}']}}\n")
            organisation.publish("a name server of its own")
        edge = f"sip.{PARTNER}:{theirs.ports[f'edge1.{PARTNER} partner']}"
        added = ours.type("partner", "add", PARTNER, "--edge", edge, "--address", "127.0.0.1", *credentials(theirs))
        assert added.code == 0, added.err
        assert theirs.type("partner", "add", DOMAIN, *credentials(ours)).code == 0
        try:
            ours.serve(FE1, FE2, EDGE)
            theirs.serve(f"edge1.{PARTNER}")
            yield ours, theirs
        finally:
            ours.stop()
            theirs.stop()


@pytest.mark.wide
def test_partners_reach_each_other_except_while_one_is_blocked(pair: tuple[Organisation, Organisation]) -> None:
    ours, theirs = pair
    by_edge = ours.type("explain", PARTNER, "--as", EDGE, "--json")
    assert (by_edge.code, by_edge.json["verdict"]["subject"]) == (0, f"sip.{PARTNER}")
    by_srv = theirs.type("explain", DOMAIN, "--as", f"edge1.{PARTNER}", "--json")
    assert (by_srv.code, by_srv.json["verdict"]["subject"]) == (0, DOMAIN)
    partners = ours.type("partner", "list", "--json").json["partners"]
    assert ours.type("partner", "block", PARTNER).code == 0
    refused = theirs.type("explain", DOMAIN, "--as", f"edge1.{PARTNER}", "--json")
    assert (refused.code, refused.json["verdict"]["code"]) == (1, Code.REFUSED_BY_PEER)
    assert PARTNER in ours.type("links", "--refused").out
    probed = theirs.type("partner", "probe", DOMAIN, "--json")
    sha256 = probed.json["shown"][f"edge1.{PARTNER}"]
    assert (probed.code, len(sha256)) == (1, 95)
    assert sha256 in ours.type("links", "--refused", "--json").out  # both sides find the verdict by the same value
    assert sha256 in theirs.type("partner", "probe", DOMAIN).out
    told = ours.type("explain", PARTNER)
    assert f"sipmesh partner unblock {PARTNER}" in told.err
    assert ours.type("partner", "unblock", f"sip.{PARTNER}").code == 0
    again = ours.type("partner", "list", "--json").json["partners"]
    assert [{**one, "left_s": 0} for one in again] == [{**one, "left_s": 0} for one in partners]
    again = theirs.type("explain", DOMAIN, "--as", f"edge1.{PARTNER}", "--json")
    assert (again.code, again.json["verdict"]["subject"]) == (0, DOMAIN)


@pytest.mark.wide
def test_a_partners_certificate_is_judged_at_our_edge_by_default(
    pair: tuple[Organisation, Organisation],
) -> None:
    ours, theirs = pair
    told = ours.type("explain", theirs.folder / "servers" / f"edge1.{PARTNER}.pem", "--json")
    assert (told.code, told.json["server"]) == (0, EDGE)
    assert told.json["verdict"]["peer"] == f"sip.{PARTNER}"


@pytest.mark.wide
def test_a_stranger_is_distinguished_from_a_partner(pair: tuple[Organisation, Organisation]) -> None:
    """At the partner's own address, the server there has to prove the name that was asked for."""
    ours, theirs = pair
    port = theirs.ports[f"edge1.{PARTNER} partner"]
    told = ours.type("explain", f"127.0.0.1:{port}", "--as", EDGE, "--name", "other.test", "--json")
    assert (told.code, told.json["verdict"]["accepted"]) == (1, False)


def test_partner_is_probed_from_our_edge_by_name(pair: tuple[Organisation, Organisation]) -> None:
    """Only a response shows that the partner accepts us."""
    ours, _ = pair
    probed = ours.type("partner", "probe", PARTNER, "--json")
    assert (probed.code, probed.json["good"]) == (0, True), probed.out
    assert probed.json["edges"][EDGE]["verdict"]["subject"] == f"sip.{PARTNER}"
    assert [stage["stage"] for stage in probed.json["edges"][EDGE]["stages"]] == ["TCP", "TLS", "verdict", "SIP"]
    assert "OPTIONS answered" in ours.type("partner", "probe", PARTNER, "--as", EDGE).out


@pytest.mark.soak
def test_tutorial_can_be_typed_as_it_is_written(tmp_path: Path) -> None:
    """Its own words, at other loopback addresses; a command waits as carol, in place of the third terminal."""
    desk = Desk(tmp_path)
    com, org = desk.com, desk.org
    make, edges, serve, first, second, talk, block = (lines(step, TUTORIAL) for step in range(1, 8))
    try:
        desk.run(com, *make)
        desk.run(com, *edges[:3])
        desk.run(org, *edges[3:])
        desk.run(com, serve[0])
        desk.run(org, serve[1])
        *add, explain = first
        assert "example.org is a partner" in desk.run(com, *add)
        assert "'unknown ca'" in desk.run(com, explain, code=1)
        add_us, *checks = second
        desk.run(org, add_us)
        assert "✓ SIP      OPTIONS answered 200 OK" in desk.run(com, *checks)
        carol = waiting(org, talk[0], tmp_path / "carol.log")
        assert "identity asserted by the server" in desk.run(com, *talk[1:])
        until("hello over there", tmp_path / "carol.log")
        carol.terminate()
        end(carol)
        assert "example.com is blocked" in desk.run(org, block[0])
        desk.run(com, talk[1], code=1)
        assert "partner-blocked" in desk.run(org, block[1])
    finally:
        com.stop()
        org.stop()


def waiting(organisation: Organisation, line: str, log: Path) -> Forked:
    """Type a line that waits until Ctrl-C."""
    process = organisation.spawn(*shlex.split(line)[1:], "--password-stdin", log=log)
    assert process.stdin is not None
    process.stdin.write(b"carol-secret\n")
    process.stdin.flush()
    until("Waiting for messages", log)
    return process
