"""Why a peer is accepted or refused: at an address, in a file, on a live link, and behind a reference."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cli.world import DOMAIN, EDGE, FE1, FE2, START_S, Organisation, Result, sipmesh
from sipmesh.demo.decoy import Decoy
from sipmesh.demo.forge import Forge
from sipmesh.trust.code import Code


def stages(told: Result) -> dict[str, bool]:
    return {one["stage"]: one["passed"] for one in told.json["stages"]}


ALL_GOOD = {"TCP": True, "TLS": True, "verdict": True, "SIP": True}


def test_a_client_port_is_good_once_it_has_answered(running: Organisation) -> None:
    told = running.type("explain", running.address(FE1), "--json")
    assert (told.code, stages(told)) == (0, ALL_GOOD)
    assert told.json["verdict"]["subject"] == "example.com"


@pytest.mark.parametrize(("speaker", "door"), [(FE1, FE2), (EDGE, FE1), (FE1, EDGE)])
def test_a_server_port_is_good_for_those_who_may_open_it(running: Organisation, speaker: str, door: str) -> None:
    told = running.type("explain", running.address(door, "server"), "--as", speaker, "--json")
    assert (told.code, stages(told)) == (0, ALL_GOOD)
    assert told.json["verdict"]["subject"] == door


def test_a_server_port_refuses_a_client_late_and_that_is_reported(running: Organisation) -> None:
    """With TLS 1.3 our handshake is over before the server misses our certificate: the verdict alone would be too good."""
    told = running.type("explain", running.address(FE1, "server"), "--json")
    assert told.code == 1
    assert stages(told) == {**ALL_GOOD, "SIP": False}
    assert told.json["verdict"]["code"] == Code.REFUSED_BY_PEER


def test_people_read_every_check_and_the_remedy(running: Organisation) -> None:
    told = running.type("explain", running.address(FE1, "server"))
    assert "✗ SIP" in told.out
    assert "✓ revocation" in told.out
    assert "→ Connect as a server of ours: sipmesh explain" in told.out


def test_a_root_may_be_given_where_no_topology_knows_the_server(running: Organisation, tmp_path: Path) -> None:
    forge = Forge(datetime.now(UTC))
    issuing = forge.organisation("Other")
    assert issuing.issuer is not None
    root = tmp_path / "root.pem"
    root.write_bytes(issuing.issuer.certificate.public_bytes(Encoding.PEM))
    with Decoy(forge.server(issuing, "other.test"), mutual=False) as decoy:
        words = ("explain", f"127.0.0.1:{decoy.address[1]}", "--name", "other.test", "--json")
        assert running.type(*words, "--ca", root).code == 0
        without = running.type(*words)
    assert without.code == 1
    assert "--ca FILE" in without.err


def test_a_certificate_of_ours_would_be_accepted(running: Organisation) -> None:
    file = running.folder / "servers" / f"{FE2}.pem"
    told = running.type("explain", file, "--as", "front-end", "--json")
    assert (told.code, told.json["server"], told.json["verdict"]["code"]) == (0, FE1, Code.ACCEPTED)


def test_a_certificate_comes_in_another_role_than_it_was_said_to_have(running: Organisation) -> None:
    told = running.type("explain", running.folder / "servers" / f"{EDGE}.pem", "--as", "front-end")
    assert told.code == 1
    assert "as edge: that is the role" in told.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--as", "king"), "one of these after --as"),
        (("--server", "fe9.example.com"), "not a server of the topology"),
    ],
)
def test_a_file_needs_a_role_and_a_server_that_exist(
    running: Organisation, arguments: tuple[str, ...], why: str
) -> None:
    left = running.type("explain", running.folder / "servers" / f"{FE2}.pem", *arguments)
    assert left.code == 1
    assert why in left.err


def test_a_file_without_a_certificate_explains_nothing(running: Organisation) -> None:
    left = running.type("explain", running.file)
    assert left.code == 1
    assert "no readable certificate" in left.err


def test_a_link_that_does_not_exist_leads_to_the_existing_links(running: Organisation) -> None:
    left = running.type("explain", "s999999")
    assert left.code == 1
    assert "sipmesh links" in left.err


def test_a_refused_message_is_explained_by_its_reference(running: Organisation) -> None:
    """The sender learns a reference only; here it leads to the reason."""
    sent = running.acting("message", "alice", "bob@elsewhere.test", "hello", "--json")
    (warning,) = sent.json["warnings"]
    reference = warning.rpartition("reference ")[2].strip('"')
    told = running.type("explain", reference)
    assert told.code == 1
    assert "elsewhere.test is not a domain, server or partner of this network" in told.out
    assert running.type("explain", reference, "--json").json[0]["code"] == Code.NO_ROUTE
    assert running.type("explain", "c0-0").code == 1


def test_message_that_is_refused_without_a_verdict_code_is_explained_by_its_reference(running: Organisation) -> None:
    """`links --refused` does not list it: no check has failed."""
    sent = running.acting("message", "alice", f"nobody@{DOMAIN}", "hello", "--json")
    (warning,) = sent.json["warnings"]
    reference = warning.rpartition("reference ")[2].strip('"')
    told = running.type("explain", reference)
    assert told.code == 1
    assert told.out.startswith(f"refused: MESSAGE from sip:alice@{DOMAIN} got 404 at ")
    assert f"nobody@{DOMAIN} is not a user of this network" in told.out
    assert reference not in running.type("links", "--refused", "--json").out


def test_call_that_a_rule_of_its_callee_refuses_is_explained_by_the_reference_in_its_record(
    organisation: Organisation,
) -> None:
    """The caller, the record and `explain` have one reference; the caller does not learn that there is a rule."""
    organisation.file.write_text(organisation.file.read_text() + "\ncall_records: {}\n")
    organisation.type("topology", "publish", "--force", "-m", "records of calls")
    for user in ("alice", "bob"):
        organisation.add_user(user)
    assert organisation.type("user", "rules", "caller", "bob", f"alice@{DOMAIN}", "block").code == 0
    organisation.serve(FE1)
    called = organisation.acting("call", "alice", f"bob@{DOMAIN}", "--json")
    (warning,) = called.json["warnings"]
    assert (called.json["status"], "rule" in warning) == (603, False)
    deadline = time.monotonic() + START_S
    while not (record := organisation.type("calls", "--user", "bob", "--failed", "--json").out):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    reference = json.loads(record)["reference"]
    assert warning.endswith(f'reference {reference}"')
    assert f"reference {reference}" in " ".join(organisation.type("calls", "--user", "bob").out.split())
    told = organisation.type("explain", reference)
    assert told.out.startswith(f"refused: INVITE from sip:alice@{DOMAIN} got 603 at {FE1}")
    assert "a rule of the callee blocks the caller" in told.out


def test_refusals_are_listed_with_their_remedy(running: Organisation) -> None:
    running.type("explain", running.address(FE1, "server"))
    running.acting("message", "alice", "bob@elsewhere.test", "hello")
    told = running.type("links", "--refused")
    assert "no-certificate" in told.out
    assert "Configure the peer to present its" in told.out
    assert "no-route" in told.out
    listed = running.type("links", "--refused", "--json").json
    assert {one["code"] for one in listed["links"]} >= {Code.NO_CERTIFICATE}


def test_a_file_that_is_missing_is_not_taken_for_a_server(organisation: Organisation) -> None:
    for what in ("none.pem", "servers/none"):
        left = organisation.type("explain", what)
        assert (left.code, f"there is no file {what}" in left.err) == (1, True)


def test_remedy_stands_before_the_checks(running: Organisation) -> None:
    """An operator does not have to read 40 lines first."""
    lines = running.type("explain", running.address(FE1, "server")).out.splitlines()
    remedy = next(number for number, line in enumerate(lines) if line.strip().startswith("→"))
    checks = next(number for number, line in enumerate(lines) if line.strip().startswith("wanted"))
    assert remedy < checks
    assert remedy <= 8


def test_client_at_a_port_for_servers_is_advised_to_connect_as_one(running: Organisation, tmp_path: Path) -> None:
    """It was refused since it showed no certificate: nothing is wrong with any topology. The command that it gets works."""
    there = running.address(FE1, "server")
    refused = running.type("explain", there)
    assert refused.code == 1
    assert "that its topology has" not in refused.out
    assert f"{there} is the server port of {FE1}: it requires a certificate, and a client presents none." in refused.out
    typed = refused.out.rpartition("sipmesh ")[2].splitlines()[0].split()
    assert typed[:3] == ["explain", there, "--as"]
    assert running.type(*typed).code == 0
    stranger = ("--name", "example.com", "--ca", running.root)
    unknown = sipmesh("explain", there, *stranger, topology=tmp_path / "none.yaml")
    assert f"sipmesh explain {there} --as NAME" in unknown.out
    partner = running.type("explain", running.address(EDGE, "partner"))
    assert "it accepts partners only" in partner.out


def test_server_and_user_may_be_named_by_their_first_word(running: Organisation) -> None:
    """As in `topology change fe1` and `user add alice`."""
    assert running.type("explain", FE1.partition(".")[0]).out.startswith(f"{FE1} (client port of {FE1})")
    unknown = running.type("explain", "nobody")
    assert (unknown.code, f"nobody@{DOMAIN} is not a user." in unknown.out) == (1, True)
