"""TLS to the directory: who may be its server, tried with a real OpenLDAP and certificates of all kinds."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.ports import free_port
from sipmesh.errors import OperatorError
from support.directory_ca import HOST, DirectoryCa
from support.directory_world import DirectoryWorld
from support.managed import MGMT, build_published
from support.openldap import OpenLdap, write_password

pytestmark = pytest.mark.peer("openldap")

GONE = timedelta(minutes=-1)


def refusal(world: DirectoryWorld, **more: Any) -> str:
    """Look at the directory, and give the error; "" if the look succeeds."""
    try:
        world.look(**more)
    except OperatorError as wrong:
        return wrong.message
    return ""


@pytest.mark.parametrize("tls", ["ldaps", "starttls"])
def test_right_certificate_is_accepted_over_both_ways_to_tls(world: DirectoryWorld, tls: str) -> None:
    world.ldap.person("carol")
    port = world.ldap.ldaps if tls == "ldaps" else world.ldap.port
    looked = world.look(tls=tls, servers=[{"name": f"{HOST}:{port}", "address": "127.0.0.1"}])
    assert [step.aor for step in looked.comparison.steps] == ["sip:carol@example.test"]


@pytest.mark.parametrize(
    ("names", "changes", "reason"),
    [
        (("dc9.corp.test",), {}, "Hostname mismatch"),
        (("*.corp.test",), {}, f"it does not name {HOST} to the letter"),
        ((HOST, MGMT), {}, f"it names the server {MGMT} of the topology"),
        ((HOST,), {"begins": timedelta(days=-9), "ends": GONE}, "certificate has expired"),
        ((HOST,), {"usages": ()}, ""),
    ],
)
@pytest.mark.parametrize("tls", ["ldaps", "starttls"])
def test_wrong_certificate_is_refused_before_the_login(
    tmp_path: Path, names: tuple[str, ...], changes: dict[str, Any], reason: str, tls: str
) -> None:
    """The last row is the control: a certificate without extended key usage is one for any usage."""
    ca = DirectoryCa()
    with OpenLdap(tmp_path / "l", ca.server(*names, **changes)) as ldap:
        world = DirectoryWorld(build_published(tmp_path / "o"), ldap, ca)
        write_password(world.folder)
        world.keys = ca.write(world.folder)
        ldap.person("carol")
        port = ldap.ldaps if tls == "ldaps" else ldap.port
        said = refusal(world, tls=tls, servers=[{"name": f"{HOST}:{port}", "address": "127.0.0.1"}])
        assert (reason in said, bool(said)) == (True, bool(reason)), said


def test_revoked_certificate_and_missing_or_expired_crl_are_refused(tmp_path: Path) -> None:
    ca = DirectoryCa()
    certificate = ca.server(HOST)
    with OpenLdap(tmp_path / "l", certificate) as ldap:
        world = DirectoryWorld(build_published(tmp_path / "o"), ldap, ca)
        write_password(world.folder)
        ldap.person("carol")
        world.keys = ca.write(world.folder)
        assert refusal(world) == ""
        ca.write(world.folder, certificate)
        assert "certificate revoked" in refusal(world)
        ca.write(world.folder, ends=GONE)
        assert "CRL has expired" in refusal(world)
        ca.write(world.folder)
        world.keys["crls"] = world.keys["crls"][:1]
        assert "unable to get certificate CRL" in refusal(world)


def test_certificate_of_another_ca_is_refused(tmp_path: Path, world: DirectoryWorld) -> None:
    """Also one of the enterprise CA, while another one is named; without `anchors` the enterprise CA counts."""
    world.ldap.person("carol")
    world.keys = DirectoryCa().write(world.folder)
    assert "certificate is refused" in refusal(world) or "is refused" in refusal(world)
    world.keys = {}
    assert "unable to get local issuer certificate" in refusal(world)


@contextmanager
def answering(first: bytes) -> Iterator[int]:
    """A server that answers the first octets with *first*; gives its port."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection, suppress(ConnectionResetError):
                connection.recv(100)
                connection.sendall(first)
                connection.recv(100)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield port
        thread.join(10)


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (bytes.fromhex("300c02010178070a010104000400"), "refuses StartTLS"),
        (bytes.fromhex("300c02010161070a010004000400"), "refuses StartTLS"),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak LDAP"),
        (b"\x30\x84\xff\xff\xff\xff", "does not speak LDAP"),
        # a response, and after it what a man in the middle has put there: it is read as TLS
        (
            bytes.fromhex("300c02010178070a010004000400") + b"0\x0c\x02\x01\x02a\x07\n\x01\x00\x04\x00\x04\x00",
            "does not speak TLS",
        ),
    ],
)
def test_answer_before_tls_is_never_taken(world: DirectoryWorld, first: bytes, reason: str) -> None:
    with answering(first) as port:
        servers = [{"name": f"{HOST}:{port}", "address": "127.0.0.1"}]
        assert reason in refusal(world, tls="starttls", servers=servers)
