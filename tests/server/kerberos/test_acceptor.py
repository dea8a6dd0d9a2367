"""Tickets of a real KDC: each that is refused differs from the right one in one property."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gssapi
import pytest
from cryptography import x509

from sipmesh.demo.forge import Forge
from sipmesh.errors import OperatorError
from sipmesh.server.kerberos.acceptor import KerberosError, KerberosService, end_point
from support.kdc import Kdc
from support.running import on_loop, until

pytestmark = pytest.mark.peer("kerberos")

NAME = "HTTP/mgmt.example.test"
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")


@dataclass
class Realm:
    """A *kdc*, with the *service* and the certificate *leaf* of its server."""

    kdc: Kdc
    service: KerberosService
    leaf: x509.Certificate
    folder: Path

    def client(self, name: str = NAME, person: str = "ada", *options: str, **given: Any) -> gssapi.SecurityContext:
        """Give a client of the service *name* with a new ticket of *person*."""
        cache = self.kdc.ticket(person, self.folder / person.replace("/", "_"), *options)["KRB5CCNAME"]
        credentials = gssapi.Credentials(usage="initiate", store={"ccache": cache})
        target = gssapi.Name(f"{name}@{self.kdc.realm}", gssapi.NameType.kerberos_principal)
        return gssapi.SecurityContext(name=target, creds=credentials, usage="initiate", mech=SPNEGO, **given)

    def accepts(self, token: bytes | None) -> str:
        """Give the principal that is accepted."""
        assert token is not None
        return self.service.accept(token, self.leaf).principal


@pytest.fixture(name="realm")
def _realm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Realm]:
    leaf = Forge(datetime.now(UTC)).root("other").certificate
    with Kdc(tmp_path / "kdc") as kdc:
        keytab = kdc.service(NAME, tmp_path / "console.keytab")
        kdc.service("HTTP/other.example.test", keytab)
        kdc.person("ada")
        monkeypatch.setenv("KRB5_CONFIG", kdc.environment["KRB5_CONFIG"])
        service = KerberosService(NAME, kdc.realm, keytab, tmp_path / "replays")
        yield Realm(kdc, service, leaf, tmp_path)


def test_ticket_is_accepted_once_and_the_service_proves_itself(realm: Realm) -> None:
    client = realm.client(flags=[gssapi.RequirementFlag.mutual_authentication])
    token = client.step()
    assert token is not None
    ticket = realm.service.accept(token, realm.leaf)
    assert (ticket.principal, 0 < ticket.seconds <= 86_400) == ("ada@CORP.TEST", True)
    client.step(ticket.answer)
    assert client.complete
    with pytest.raises(KerberosError, match="replay"):
        realm.accepts(token)
    assert realm.accepts(realm.client().step()) == "ada@CORP.TEST"


def test_ticket_for_another_service_is_refused_also_with_its_key_in_the_keytab(realm: Realm) -> None:
    with pytest.raises(KerberosError, match="is refused"):
        realm.accepts(realm.client("HTTP/other.example.test").step())
    assert realm.accepts(realm.client().step())


def test_ticket_of_another_realm_is_refused_also_with_its_key_in_the_keytab(
    realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = realm.client().step()
    with Kdc(realm.folder / "evil", "EVIL.TEST") as evil:
        evil.person("ada")
        evil.service(NAME, realm.folder / "evil.keytab")
        monkeypatch.setenv("KRB5_CONFIG", evil.environment["KRB5_CONFIG"])
        other = Realm(evil, realm.service, realm.leaf, realm.folder / "evil")
        token = other.client().step()
        with pytest.raises(KerberosError, match="is refused"):
            other.accepts(token)
        evil.add_to(NAME, realm.service.keytab)
        with pytest.raises(KerberosError, match="is refused"):
            other.accepts(other.client().step())
    assert realm.accepts(right) == "ada@CORP.TEST"


@on_loop
async def test_ticket_that_has_expired_is_refused(realm: Realm) -> None:
    """GSSAPI alone accepts it for five minutes more."""
    client = realm.client(NAME, "ada", "-l", "3s")
    token = client.step()
    ends = (
        time.time() + _lifetime(realm.folder / "ada") + 2
    )  # a client's clock follows that of its KDC, by whole seconds
    await until(lambda: time.time() > ends)
    with pytest.raises(KerberosError, match="has expired"):
        realm.accepts(token)
    assert realm.accepts(realm.client().step())


def _lifetime(cache: Path) -> int:
    """Give the seconds that a ticket is valid, as its client sees it."""
    try:
        return int(gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{cache}"}).lifetime)
    except gssapi.exceptions.ExpiredCredentialsError:
        return 0


def test_client_that_names_another_tls_connection_is_refused(realm: Realm) -> None:
    """The name is that of the certificate; a client that names none is accepted."""
    other = Forge(datetime.now(UTC)).root("another").certificate
    for leaf, accepted in ((realm.leaf, True), (other, False)):
        bindings = gssapi.raw.ChannelBindings(application_data=end_point(leaf))
        token = realm.client(channel_bindings=bindings).step()
        if accepted:
            assert realm.accepts(token)
        else:
            with pytest.raises(KerberosError, match="channel bindings"):
                realm.accepts(token)


def test_service_is_no_person(realm: Realm) -> None:
    realm.kdc.person("host/pc1.example.test")
    token = realm.client(NAME, "host/pc1.example.test").step()
    with pytest.raises(KerberosError, match="is no person"):
        realm.accepts(token)


@pytest.mark.parametrize("token", [b"", b"NTLMSSP\0" + bytes(40), b"\x60\x82\xff\xff", bytes(10_000)])
def test_octets_that_are_no_ticket_are_refused(realm: Realm, token: bytes) -> None:
    with pytest.raises(KerberosError):
        realm.accepts(token)
    assert realm.accepts(realm.client().step())


def test_keytab_must_be_one_and_be_private(realm: Realm) -> None:
    token = realm.client().step()
    realm.service.keytab.chmod(0o644)
    with pytest.raises(OperatorError, match=r"console\.keytab"):
        realm.accepts(token)
    realm.service.keytab.chmod(0o600)
    content = realm.service.keytab.read_bytes()
    realm.service.keytab.write_bytes(b"password")
    with pytest.raises(OperatorError, match="is no keytab"):
        realm.accepts(token)
    realm.service.keytab.write_bytes(content)
    assert realm.accepts(token)


def test_ticket_that_must_be_bound_to_the_connection_is_refused_without_a_binding(realm: Realm) -> None:
    bindings = gssapi.raw.ChannelBindings(application_data=end_point(realm.leaf))
    for binding, accepted in ((None, False), (bindings, True)):
        token = realm.client(channel_bindings=binding).step()
        assert token is not None
        if accepted:
            assert realm.service.accept(token, realm.leaf, must_be_bound=True).principal == "ada@CORP.TEST"
            continue
        with pytest.raises(KerberosError, match="names no TLS connection"):
            realm.service.accept(token, realm.leaf, must_be_bound=True)
    assert realm.accepts(realm.client().step())
