"""The login by Kerberos at a real domain controller of Samba: each that fails differs from the right one in one property."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gssapi
import pytest

from cli.world import environment
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.directory.directory_reader import read_directory
from support.directory_ca import HOST, DirectoryCa
from support.kdc import Kdc
from support.managed import MGMT, Managed, build_managed, build_published
from support.openldap import write_password
from support.running import on_loop, until
from support.samba_ad import ACCOUNT, KDC, KEYTAB, LDAPS, PASSWORD, SambaAd

pytestmark = [pytest.mark.wide, pytest.mark.peer("samba"), pytest.mark.peer("kerberos"), pytest.mark.peer("openldap")]

READING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sipmesh.server.directory.directory_reader import read_directory
from sipmesh.topology.document.load import load
read_directory(load(Path(sys.argv[1])), datetime.now(UTC))
"""


@dataclass
class World:
    """The domain of *samba*, and an *organisation* whose management has a keytab; *keys* prove the domain controller."""

    samba: SambaAd
    ca: DirectoryCa
    organisation: Organisation
    keys: dict[str, Any]

    @property
    def keytab(self) -> Path:
        return self.organisation.folder / KEYTAB

    def reads(self, **more: Any) -> bool:
        """Read the directory with *more* keys; whether it has carol."""
        self.organisation.document["directory"] = self.samba.keys_by_kerberos(**self.keys, **more)
        self.organisation.write()
        answer, _ = read_directory(self.organisation.load(), datetime.now(UTC))
        return [entry.aor for entry in answer.entries] == ["sip:carol@example.test"]

    def refuses(self, reason: str, **more: Any) -> None:
        """Try to read it, and fail for a *reason*."""
        with pytest.raises(OperatorError, match=reason):
            self.reads(**more)

    def tickets(self, *options: str) -> Path:
        """Log in as another program does that keeps tickets for management."""
        cache = self.organisation.folder / "secrets" / "tickets"
        subprocess.run(("kinit", *options, "-k", "-t", self.keytab, "-c", f"FILE:{cache}", ACCOUNT), check=True)
        return cache


@pytest.fixture(name="samba", scope="module")
def _samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SambaAd, DirectoryCa]]:
    ca = DirectoryCa()
    with SambaAd(tmp_path_factory.mktemp("samba") / "dc1", ca.server(HOST)) as samba:
        samba.person("carol")
        yield samba, ca


@pytest.fixture(name="world")
def _world(samba: tuple[SambaAd, DirectoryCa], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    domain, ca = samba
    monkeypatch.setenv("KRB5_CONFIG", str(domain.kerberos))
    organisation = build_published(tmp_path / "o")
    write_password(organisation.folder, PASSWORD)
    domain.keytab("sipmesh", organisation.folder / KEYTAB)
    return World(domain, ca, organisation, ca.write(organisation.folder))


@pytest.mark.parametrize("tls", ["ldaps", "starttls"])
def test_keytab_logs_management_in(world: World, tls: str) -> None:
    """No password is here. The name of the domain controller is still checked by TLS, before the ticket is sent."""
    (world.organisation.folder / "secrets" / "directory").unlink()
    assert world.reads(tls=tls)
    world.refuses(
        "the certificate of dc2", tls=tls, servers=[{"name": "dc2.corp.test", "address": world.samba.address}]
    )


def test_tickets_of_another_program_log_management_in_until_they_expire(world: World) -> None:
    """The file stays as the other program wrote it."""
    cache = world.tickets()
    before = cache.read_bytes()
    assert world.reads(keytab=None, tickets="secrets/tickets")
    assert cache.read_bytes() == before


@on_loop
async def test_expired_tickets_are_a_fault_with_its_remedy(world: World) -> None:
    cache = world.tickets("-l", "2s")
    await until(lambda: _is_over(cache))
    world.refuses(r"xpired; renew the tickets: kinit", keytab=None, tickets="secrets/tickets")
    world.tickets()
    assert world.reads(keytab=None, tickets="secrets/tickets")


def _is_over(cache: Path) -> bool:
    try:
        return gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{cache}"}).lifetime == 0
    except gssapi.exceptions.ExpiredCredentialsError:
        return True


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (None, 0o600, "put the file there"),
        (b"-----BEGIN PRIVATE KEY-----", 0o600, "is no keytab in a file; write it again"),
        (b"\x05\x02", 0o640, "has mode 0640: other users may have read it"),
        (b"\x05\x02", 0o600, "correct `principal`, or write it again"),
    ],
)
def test_keytab_that_cannot_be_used_is_a_fault(world: World, content: bytes | None, mode: int, reason: str) -> None:
    right = world.keytab.read_bytes()
    world.keytab.unlink()
    if content is not None:
        world.keytab.write_bytes(content)
        world.keytab.chmod(mode)
    world.refuses(reason)
    world.keytab.write_bytes(right)
    world.keytab.chmod(0o600)
    assert world.reads()


def test_other_principal_and_other_realm_are_faults(world: World, tmp_path: Path) -> None:
    world.refuses("No key table entry found for carol@CORP.TEST; correct `principal`", principal="carol@CORP.TEST")
    world.tickets()
    away = {"keytab": None, "tickets": "secrets/tickets", "principal": "carol@CORP.TEST"}
    world.refuses("does not match desired name; correct `principal`", **away)
    with Kdc(tmp_path / "kdc", "EVIL.TEST") as evil:
        evil.service("sipmesh", world.keytab)
    world.refuses("Cannot find KDC for realm.*/etc/krb5.conf", principal="sipmesh@EVIL.TEST")
    assert world.reads()


def test_account_that_is_disabled_or_has_another_password_is_a_fault(world: World) -> None:
    """Each login asks the KDC, so an account that ends is out at once."""
    samba = world.samba
    samba.tool("user", "disable", "sipmesh")
    world.refuses("have been revoked; enable the account")
    samba.tool("user", "enable", "sipmesh")
    assert world.reads()
    samba.tool("user", "setpassword", "sipmesh", "--newpassword=another Horse 9")
    world.refuses("Preauthentication failed; the keys of the account are others now")
    samba.keytab("sipmesh", world.keytab)
    assert world.reads()
    samba.tool("user", "setpassword", "sipmesh", f"--newpassword={PASSWORD}")


def test_kdc_that_is_away_or_does_not_know_the_server_is_a_fault(world: World) -> None:
    text, samba = world.samba.kerberos.read_text(), world.samba
    samba.kerberos.write_text(text.replace(samba.address, f"{samba.address}:{KDC + 1}"))
    world.refuses("Cannot contact any KDC.*let management reach port 88")
    samba.kerberos.write_text(text)
    samba.tool("spn", "delete", f"ldap/{HOST}", "dc1$")
    world.refuses("Server not found in Kerberos database; name the server")
    samba.tool("spn", "add", f"ldap/{HOST}", "dc1$")
    assert world.reads()


@pytest.mark.parametrize(("moved", "code"), [("+0", 0), ("+1h", 1)])
def test_clock_that_is_wrong_is_a_fault(world: World, moved: str, code: int) -> None:
    """By default the library takes the time of the KDC; a domain may turn that off in /etc/krb5.conf."""
    world.reads()
    strict = world.organisation.folder / "krb5.conf"
    strict.write_text(world.samba.kerberos.read_text().replace("[libdefaults]", "[libdefaults]\nkdc_timesync = 0"))
    command = (sys.executable, "-c", READING, world.organisation.file)
    given = {**environment(), "KRB5_CONFIG": str(strict)}
    done = subprocess.run(("faketime", "-f", moved, *command), env=given, capture_output=True, text=True, check=False)
    assert (done.returncode, "Clock skew too great; set the clock" in done.stderr) == (code, bool(code)), done.stderr


@contextmanager
def relaying(samba: SambaAd, context: ssl.SSLContext, ca: DirectoryCa, folder: Path) -> Iterator[int]:
    """A relay that ends TLS with a certificate of its own for the same name, and has its own TLS to *samba*; gives its port."""
    chain, key = ca.server(HOST).write(folder, "relay")
    context.load_cert_chain(chain, key)
    further = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    further.check_hostname, further.verify_mode = False, ssl.CERT_NONE

    def relay(listening: socket.socket) -> None:
        with suppress(OSError):
            plain, _ = listening.accept()
            inner = socket.create_connection((samba.address, LDAPS))
            with context.wrap_socket(plain, server_side=True) as client, further.wrap_socket(inner) as server:
                threading.Thread(target=_copy, args=(server, client), daemon=True).start()
                _copy(client, server)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=relay, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]


def _copy(source: ssl.SSLSocket, target: ssl.SSLSocket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


@pytest.mark.parametrize("bind", ["gssapi", "password"])
def test_relay_with_a_certificate_for_the_name_cannot_pass_the_login_on(
    world: World, tmp_path: Path, bind: str
) -> None:
    """A password would be passed on, so the relay works; but a ticket is for one certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with relaying(world.samba, context, world.ca, tmp_path) as port:
        servers = [{"name": f"{HOST}:{port}", "address": "127.0.0.1"}]
        if bind == "gssapi":
            world.refuses("80090346.*let no TLS proxy be between", servers=servers)
            assert world.reads()
            return
        keys = world.samba.keys(servers=servers, **world.keys)
        world.organisation.document["directory"] = keys
        world.organisation.write()
        assert read_directory(world.organisation.load(), datetime.now(UTC))[0].entries


def test_login_without_a_channel_binding_is_refused_by_the_domain(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samba asks for it by default ("ldap server require strong auth")."""
    with monkeypatch.context() as without:
        without.setattr(gssapi.raw, "ChannelBindings", lambda application_data: None)  # noqa: ARG005
        world.refuses("80090346")
    assert world.reads()


@on_loop
async def test_status_has_the_fault_with_its_remedy_until_the_keytab_is_right(world: World, tmp_path: Path) -> None:
    """Management runs, and goes on by itself when the keys of the account are in the keytab."""
    organisation = build_managed(tmp_path / "m")
    keytab = organisation.folder / KEYTAB
    keytab.parent.mkdir(exist_ok=True)
    with Kdc(tmp_path / "kdc") as other:
        other.service("sipmesh", keytab)
    keys = world.samba.keys_by_kerberos(**world.ca.write(organisation.folder))
    organisation.document["directory"] = keys
    organisation.write()
    async with Managed(organisation, tmp_path) as network:
        await network.start(MGMT)
        follower = network.master.directory
        await until(lambda: "Preauthentication failed" in follower.report.fault)
        shown = " ".join((await network.type("directory", "status", code=1)).split())
        assert "the keys of the account are others now: write it again" in shown
        keytab.write_bytes(world.keytab.read_bytes())
        await until(lambda: follower.report.users == 1)
        assert "1 user from the directory" in await network.type("directory", "status")
