"""Why a peer is accepted or refused: at an address, in a file, on a live link, and behind a reference."""

import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cli.world import EDGE, FE1, FE2, MGMT, Organisation, Result, sipmesh
from sipmesh.demo.decoy import Decoy
from sipmesh.demo.forge import Forge
from sipmesh.trust.code import Code


def stages(told: Result) -> dict[str, bool]:
    return {one["stage"]: one["passed"] for one in told.json["stages"]}


def greet(listening: socket.socket) -> None:
    """Speak first, as a mail server does, and read until the other side has gone."""
    connection, _ = listening.accept()
    with connection, suppress(ConnectionError):  # it may hang up without reading
        connection.sendall(b"220 mail.example.com ESMTP\r\n")
        while connection.recv(4096):
            pass


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


def test_a_server_port_refuses_a_client_late_and_that_is_told(running: Organisation) -> None:
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


def test_nobody_at_an_address_ends_the_probe_at_tcp(running: Organisation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    told = running.type("explain", f"127.0.0.1:{port}", "--name", "example.com", "--json")
    assert (told.code, stages(told)) == (1, {"TCP": False})


def test_who_speaks_no_tls_ends_the_probe_there(running: Organisation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        greeter = threading.Thread(target=greet, args=(plain,))
        greeter.start()
        told = running.type("explain", f"127.0.0.1:{plain.getsockname()[1]}", "--name", "example.com", "--json")
        greeter.join()
    assert (told.code, stages(told)["TCP"], stages(told)["TLS"]) == (1, True, False)
    assert told.json["verdict"]["code"] == Code.NOT_TLS


def test_a_man_in_the_middle_gets_no_further_than_the_verdict(running: Organisation) -> None:
    forge = Forge(datetime.now(UTC))
    with Decoy(forge.server(forge.organisation("Mallory"), "example.com"), mutual=False) as decoy:
        told = running.type("explain", f"127.0.0.1:{decoy.address[1]}", "--name", "example.com", "--json")
        received = decoy.received
    assert (told.code, told.json["verdict"]["code"], received) == (1, Code.UNTRUSTED_ISSUER, 0)
    assert "SIP" not in stages(told)


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


def test_an_address_alone_proves_nothing(running: Organisation) -> None:
    left = running.type("explain", "127.0.0.1:9")
    assert left.code == 1
    assert "--name" in left.err


def test_a_client_port_has_no_use_for_a_servers_certificate(running: Organisation) -> None:
    left = running.type("explain", running.address(FE1), "--as", FE2)
    assert left.code == 1
    assert "leave out --as" in left.err


def test_a_certificate_of_ours_would_be_let_in(running: Organisation) -> None:
    file = running.folder / "servers" / f"{FE2}.pem"
    told = running.type("explain", file, "--as", "front-end", "--json")
    assert (told.code, told.json["server"], told.json["verdict"]["code"]) == (0, FE1, Code.ACCEPTED)


def test_a_certificate_is_judged_by_the_server_that_is_named(running: Organisation) -> None:
    file = running.folder / "servers" / f"{FE2}.pem"
    assert running.type("explain", file, "--server", EDGE, "--json").json["server"] == EDGE
    at_itself = running.type("explain", file, "--server", FE2, "--json")
    assert (at_itself.code, at_itself.json["verdict"]["code"]) == (1, Code.ROLE_NOT_ALLOWED)


def test_a_certificate_comes_in_another_role_than_it_was_said_to_have(running: Organisation) -> None:
    told = running.type("explain", running.folder / "servers" / f"{EDGE}.pem", "--as", "front-end")
    assert told.code == 1
    assert "as edge: that is the role" in told.out


def test_a_stranger_at_the_partner_port_is_unknown(running: Organisation) -> None:
    told = running.type("explain", running.folder / "servers" / f"{FE1}.pem", "--as", "partner", "--json")
    assert (told.code, told.json["server"]) == (1, EDGE)
    assert told.json["verdict"]["accepted"] is False


@pytest.mark.parametrize("ours", [True, False])
def test_openssl_has_its_say_about_a_file_too(running: Organisation, tmp_path: Path, *, ours: bool) -> None:
    """A file is judged by both engines, as a handshake would be."""
    forge = Forge(datetime.now(UTC))
    issuing = forge.organisation("Mallory")
    mine = running.folder / "servers" / f"{FE2}.pem"
    file = mine if ours else forge.server(issuing, FE2).write(tmp_path, "x")[0]
    findings = running.type("explain", file, "--json").json["verdict"]["findings"]
    assert {one["check"]: one["passed"] for one in findings}["engine"] is ours


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--as", "king"), "belongs to one of"),
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


def test_a_link_that_nobody_has_leads_to_those_there_are(running: Organisation) -> None:
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


def test_nobody_is_judged_at_its_own_door_unless_that_is_asked_for(organisation: Organisation) -> None:
    """Whoever has one front end would else read that its certificate is refused."""
    left = organisation.type("explain", organisation.folder / "servers" / f"{FE1}.pem")
    assert (left.code, "connect to itself" in left.err) == (1, True)
    assert organisation.type("explain", organisation.folder / "servers" / f"{MGMT}.pem").code == 0


def test_client_at_a_port_for_servers_is_told_to_come_as_one(running: Organisation, tmp_path: Path) -> None:
    """It was refused since it showed no certificate: nothing is wrong with any topology. What it is told to type works."""
    there = running.address(FE1, "server")
    refused = running.type("explain", there)
    assert refused.code == 1
    assert "that its topology has" not in refused.out
    assert f"{there} is the server port of {FE1}: it requires a certificate, and a client presents none." in refused.out
    typed = refused.out.rpartition("sipmesh ")[2].split()
    assert typed[:3] == ["explain", there, "--as"]
    assert running.type(*typed).code == 0
    stranger = ("--name", "example.com", "--ca", running.root)
    unknown = sipmesh("explain", there, *stranger, topology=tmp_path / "none.yaml")
    assert f"sipmesh explain {there} --as NAME" in unknown.out
    partner = running.type("explain", running.address(EDGE, "partner"))
    assert "it accepts partners only" in partner.out
