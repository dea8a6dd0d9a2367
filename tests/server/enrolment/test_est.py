"""EST over real TLS: each attack with the valid request beside it."""

from __future__ import annotations

import base64
import math
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gssapi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.demo.forge import Forge
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.issuance.profiles import LEAF_LIFETIME
from sipmesh.pki.ledger.ledger import FILE
from sipmesh.server.enrolment import est
from sipmesh.server.enrolment.enrolment_issuer import MOST_A_DAY
from sipmesh.server.enrolment.est import CSR_ATTRIBUTES, FAILURES_A_MINUTE, LARGEST
from sipmesh.server.kerberos.acceptor import end_point
from sipmesh.server.process import request_rate
from sipmesh.storage.enrolment.enrolment_tables import TOKENS
from sipmesh.storage.enrolment.enrolment_tokens import MOST_OPEN_OF_NAME
from sipmesh.topology.view import certificate_names
from sipmesh.trust.evidence import LinkKind
from support.acme_client import AcmeClient
from support.console import Answer, Visitor, operator_credentials
from support.enrolling import (
    BOT,
    BOTS,
    EST,
    OTHER_BOT,
    PKCS10,
    Key,
    basic,
    certificates_in,
    enrol,
    enrolling,
    new_key,
    re_enrol,
    request,
    token,
    write_pair,
)
from support.kdc import Kdc
from support.managed import MGMT, Managed
from support.network import FE1
from support.running import on_loop, until


def dns_names(certificate: x509.Certificate) -> list[str]:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


async def enrolled(network: Managed, folder: Path, name: str = BOT) -> tuple[Path, Path]:
    """Enrol *name* by a token; gives the files of its certificate and key."""
    made, key = await token(network, name), new_key()
    async with Visitor(network) as visitor:
        [leaf] = certificates_in(await enrol(visitor, name, made["password"], request(key, common=name)))
        issuers = certificates_in(await visitor.get(f"{EST}/cacerts"))
    return write_pair(folder, leaf, key, *issuers)


@on_loop
async def test_token_enrols_once_with_the_names_of_the_topology(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        made, key = await token(network), new_key()
        assert made["est"].endswith(EST)
        assert made["acme"] == ""
        [leaf] = certificates_in(await enrol(visitor, BOT, made["password"], request(key)))
        assert dns_names(leaf) == [BOT, BOTS]
        assert leaf.public_key() == key.public_key()
        lines = network.master.management_db.audit.read()
        token_line, issued = [line for line in lines if line.act in {"enrol", "issue"}][-2:]
        assert (token_line.who, token_line.about["server"]) == ("sona (API)", BOT)
        assert (issued.who, issued.about["serial"]) == (BOT, f"{leaf.serial_number:x}")
        assert made["password"] not in str([line.about for line in lines])
        again = await enrol(visitor, BOT, made["password"], request(new_key()))
        assert (again.status, "used already" in again.text) == (401, True)


@on_loop
async def test_guessed_token_and_token_of_another_name_enrol_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        made = await token(network)
        for name, password in ((BOT, "guess"), (OTHER_BOT, made["password"]), ("nobody.test", "x"), (BOT, "")):
            answer = await enrol(visitor, name, password, request(new_key(), common=name))
            assert (answer.status, answer.text) == (401, "the name and the token do not match\n")
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        for _ in range(FAILURES_A_MINUTE - 4):
            assert (await enrol(visitor, BOT, "guess", request(new_key()))).status == 401
        assert (await enrol(visitor, BOT, "guess", request(new_key()))).status == 429
        certificates_in(await enrol(visitor, BOT.upper(), made["password"], request(new_key())))
        assert network.told[MGMT].events("enrolment refused")


@on_loop
async def test_late_token_enrols_no_server_and_makes_no_account(tmp_path: Path) -> None:
    """The token of another server, which has not ended, counts still."""
    async with enrolling(tmp_path, "est", "acme") as network, Visitor(network) as visitor:
        late, twin = await token(network, hours=2), await token(network, OTHER_BOT, hours=2)
        tokens = network.master.management_db.enrolment_tokens
        row, at = tokens.find(late["key_id"]), network.nodes[MGMT].gatekeeper.clock().timestamp()
        assert row is not None
        assert 0 < row.expires - at <= 2 * 3600
        with tokens._database.engine.begin() as db:
            db.execute(TOKENS.update().where(TOKENS.c.id == row.id).values(expires=at))
        refused = await enrol(visitor, BOT, late["password"], request(new_key()))
        assert (refused.status, "this token has expired" in refused.text) == (401, True)
        refused = await AcmeClient(visitor).register(late)
        assert (refused.status, "this token has expired" in refused.text) == (403, True)
        certificates_in(await enrol(visitor, OTHER_BOT, twin["password"], request(new_key(), common=OTHER_BOT)))
        assert (await AcmeClient(visitor).register(await token(network))).status == 201


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "another server's name": ({"common": FE1}, FE1),
    "another server's name beside": ({"names": (BOT, FE1)}, FE1),
    "a wildcard": ({"names": (f"*.{BOT}",)}, f"*.{BOT}"),
    "a SIP domain": ({"names": ("example.test",)}, "example.test"),
    "no name": ({"common": ""}, "has no name"),
    "a CA": ({"extensions": [x509.BasicConstraints(ca=True, path_length=None)]}, "asks for a CA certificate"),
    "a usage": ({"extensions": [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])]}, "asks for the usage"),
    "an extension": ({"extensions": [x509.TLSFeature([x509.TLSFeatureType.status_request])]}, "which the CA does not"),
}


@on_loop
async def test_request_that_asks_for_more_than_the_topology_gives_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        made, key = await token(network), new_key()
        for what, (asked, why) in ASKED.items():
            given = dict(asked)
            der = request(key, *given.pop("names", ()), **given)
            answer = await enrol(visitor, BOT, made["password"], der)
            assert (answer.status, why in answer.text) == (400, True), (what, answer.text)
        large_rsa = request(rsa.generate_private_key(65537, 2048))
        answer = await enrol(visitor, BOT, made["password"], large_rsa)
        assert (answer.status, "not ECDSA" in answer.text) == (400, True)
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        fitting = request(key, BOT, BOTS, extensions=[x509.BasicConstraints(ca=False, path_length=None), usages])
        certificates_in(await enrol(visitor, BOT, made["password"], fitting))


@on_loop
async def test_valid_certificate_enrols_again_and_a_revoked_one_does_not(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        files = await enrolled(network, tmp_path)
        old = x509.load_pem_x509_certificate(files[0].read_bytes())
        async with Visitor(network, credentials=files) as bot:
            [new] = certificates_in(await re_enrol(bot, request(new_key(), *dns_names(old))))
            assert dns_names(new) == dns_names(old)
            other = await re_enrol(bot, request(new_key(), common=OTHER_BOT))
            assert (other.status, OTHER_BOT in other.text) == (400, True)
            async with Visitor(network, "sona-token") as officer:
                revoked = await officer.ask("POST", "/api/v1/revoke", json={"serial": f"{old.serial_number:x}"})
                assert revoked.status == 200
            refused = await re_enrol(bot, request(new_key()))
            assert (refused.status, "revoked" in refused.text) == (403, True)


@on_loop
async def test_certificate_of_an_operator_or_of_management_or_none_does_not_enrol_again(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        for credentials in (None, operator_credentials(network, "otto", tmp_path), network.credentials(MGMT)):
            async with Visitor(network, credentials=credentials) as visitor:
                assert (await re_enrol(visitor, request(new_key()))).status == 403
        async with Visitor(network, credentials=network.credentials(FE1)) as front_end:
            [leaf] = certificates_in(await re_enrol(front_end, request(new_key(), common=FE1)))
            topology = network.nodes[MGMT].view.loaded.topology
            assert dns_names(leaf) == list(certificate_names(topology, FE1))
            assert leaf.not_valid_after_utc - leaf.not_valid_before_utc >= LEAF_LIFETIME


@on_loop
async def test_operator_certificate_does_not_log_in_when_only_est_asks_for_it(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        credentials = operator_credentials(network, "otto", tmp_path)
        async with Visitor(network, credentials=credentials) as otto:
            assert (await otto.get("/api/v1/status")).status == 401


@on_loop
async def test_malformed_and_large_requests_are_refused(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        made = await token(network)
        headers = {**PKCS10, **basic(BOT, made["password"])}
        for body, status in ((b"!", 400), (b"A" * (LARGEST + 1), 413), (base64.b64encode(b"\x30\x00"), 400)):
            answer = await visitor.ask("POST", f"{EST}/simpleenroll", data=body, headers=headers)
            assert answer.status == status
        assert (await visitor.ask("POST", f"{EST}/simpleenroll", data=b"", headers=basic(BOT, "x"))).status == 415
        assert (await visitor.ask("POST", f"{EST}/simpleenroll", headers=PKCS10)).status == 401
        certificates_in(await enrol(visitor, BOT, made["password"], request(new_key())))


@on_loop
async def test_name_gets_a_bounded_number_of_tokens_and_certificates(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        files = await enrolled(network, tmp_path)
        async with Visitor(network, credentials=files) as bot, Visitor(network, "sona-token") as officer:
            for _ in range(MOST_A_DAY - 1):
                certificates_in(await re_enrol(bot, request(new_key())))
            refused = await re_enrol(bot, request(new_key()))
            assert (refused.status, "in a day" in refused.text) == (429, True)
            for _ in range(MOST_OPEN_OF_NAME):
                await token(network)
            surplus = await officer.ask("POST", "/api/v1/enrol", json={"server": BOT})
            assert (surplus.status, "has 4 tokens already" in surplus.text) == (409, True)
            await token(network, OTHER_BOT)


@on_loop
async def test_only_a_security_officer_makes_a_token_and_for_a_known_name_alone(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        async with Visitor(network, "otto-token") as operator:
            assert (await operator.ask("POST", "/api/v1/enrol", json={"server": BOT})).status == 403
        async with Visitor(network, "sona-token") as officer:
            for name, why in (("evil.test", "is not a server of the topology"), (MGMT, "is a management server")):
                answer = await officer.ask("POST", "/api/v1/enrol", json={"server": name})
                assert (answer.status, why in answer.text) == (409, True)


@on_loop
async def test_ca_certificates_and_attributes_need_no_proof_and_are_gone_without_the_setting(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        found = certificates_in(await visitor.get(f"{EST}/cacerts"))
        assert network.nodes[MGMT].view.loaded.authority.anchors[0] in found
        attributes = await visitor.get(f"{EST}/csrattrs")
        assert base64.b64decode(attributes.text) == CSR_ATTRIBUTES
        await network.publish(lambda document: document["console"].pop("enrolment"))
        assert (await visitor.get(f"{EST}/cacerts")).status == 404
        assert (await enrol(visitor, BOT, "x", request(new_key()))).status == 404


REALM = "CORP.TEST"
MACHINE, SECOND, STRANGER = f"BOT1$@{REALM}", f"BOT2$@{REALM}", f"PC7$@{REALM}"


@dataclass
class Tickets:
    """A *network* whose topology names two computers of the realm of *kdc* as servers; a third one has a key and no server."""

    network: Managed
    kdc: Kdc
    folder: Path

    @property
    def leaf(self) -> x509.Certificate:
        return self.network.nodes[MGMT].certificates.presented.of(LinkKind.SERVER).leaf

    def header(
        self,
        principal: str = MACHINE,
        *options: str,
        service: str = f"HTTP/{MGMT}",
        bound_to: x509.Certificate | None = None,
        is_bound: bool = True,
    ) -> dict[str, str]:
        """Give the header with a new ticket of a computer, which logs in by its keytab, for a TLS connection."""
        name = principal.partition("@")[0]
        cache = self.folder / f"{name}.tickets"
        command = ("kinit", *options, "-k", "-t", f"{self.folder / name}.keytab", "-c", f"FILE:{cache}", principal)
        subprocess.run(command, env=self.kdc.environment, check=True)
        binding = gssapi.raw.ChannelBindings(application_data=end_point(bound_to or self.leaf))
        client = gssapi.SecurityContext(
            name=gssapi.Name(f"{service}@{REALM}", gssapi.NameType.kerberos_principal),
            creds=gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{cache}"}),
            usage="initiate",
            mech=gssapi.OID.from_int_seq("1.3.6.1.5.5.2"),
            channel_bindings=binding if is_bound else None,
        )
        return negotiate(client.step())

    async def enrols(self, header: dict[str, str], key: Key, common: str = BOT, *names: str) -> Answer:
        """Send a request with the header."""
        async with Visitor(self.network) as visitor:
            data = base64.encodebytes(request(key, *names, common=common))
            return await visitor.ask("POST", f"{EST}/simpleenroll", data=data, headers={**PKCS10, **header})

    async def refuses(self, header: dict[str, str], reason: str, status: int = 403) -> None:
        """Refuse it, and issue nothing; then the same computer enrols by a right ticket."""
        before = len(self.issued())
        answer = await self.enrols(header, new_key())
        assert (answer.status, reason in answer.text) == (status, True), answer.text
        assert len(self.issued()) == before

    def issued(self) -> list[dict[str, Any]]:
        """Give what the audit log has of certificates by EST."""
        lines = self.network.master.management_db.audit.read()
        return [dict(line.about) for line in lines if line.act == "issue" and line.about.get("protocol") == "est"]


def negotiate(token: bytes | None) -> dict[str, str]:
    assert token is not None
    return {"Authorization": f"Negotiate {base64.b64encode(token).decode()}"}


@asynccontextmanager
async def with_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tickets]:
    """The network, with a real KDC."""
    with Kdc(tmp_path / "kdc") as kdc:
        monkeypatch.setenv("KRB5_CONFIG", kdc.environment["KRB5_CONFIG"])
        for principal in (MACHINE, SECOND, STRANGER):
            name = principal.partition("@")[0]
            kdc.service(name, tmp_path / f"{name}.keytab")
        async with enrolling(tmp_path, "est") as network:
            secrets = network.organisation.folder / "secrets"
            secrets.mkdir(exist_ok=True)
            for service in (f"HTTP/{MGMT}", "HTTP/other.example.test"):
                kdc.service(service, secrets / "console.keytab")
            machines = [{"principal": MACHINE, "server": BOT}, {"principal": SECOND, "server": OTHER_BOT}]
            entry = {"realm": REALM, "keytab": "secrets/console.keytab", "machines": machines}
            await network.publish(lambda document: document["console"]["enrolment"].update(kerberos=entry))
            yield Tickets(network, kdc, tmp_path)


@on_loop
@pytest.mark.peer("kerberos")
async def test_computer_of_the_domain_enrols_by_its_ticket_with_the_names_of_the_topology(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another name in the request is refused, as with a token; the audit log has the account."""
    async with with_machines(tmp_path, monkeypatch) as tickets:
        key = new_key()
        [leaf] = certificates_in(await tickets.enrols(tickets.header(), key))
        assert (dns_names(leaf), leaf.public_key() == key.public_key()) == ([BOT, BOTS], True)
        assert tickets.issued()[-1]["because"] == f"ticket of {MACHINE}"
        [other] = certificates_in(await tickets.enrols(tickets.header(SECOND), new_key(), OTHER_BOT))
        assert dns_names(other)[0] == OTHER_BOT
        answer = await tickets.enrols(tickets.header(), new_key(), FE1)
        assert (answer.status, FE1 in answer.text) == (400, True)
        answer = await tickets.enrols(tickets.header(), new_key(), BOT, OTHER_BOT)
        assert answer.status == 400
        assert len(tickets.issued()) == 2


@on_loop
@pytest.mark.peer("kerberos")
async def test_each_wrong_ticket_enrols_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that ends TLS would add a key of its own: so a ticket for another certificate, or for none, is refused."""
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)
    monkeypatch.setattr(est, "FAILURES_A_MINUTE", 100)
    async with with_machines(tmp_path, monkeypatch) as tickets:
        other = Forge(datetime.now(UTC)).root("other").certificate
        await tickets.refuses(tickets.header(bound_to=other), "is refused")
        await tickets.refuses(tickets.header(is_bound=False), "names no TLS connection")
        await tickets.refuses(tickets.header(service="HTTP/other.example.test"), "is refused")
        await tickets.refuses(tickets.header(STRANGER), f"{STRANGER} is no machine")
        await tickets.refuses(negotiate(b"NTLMSSP\x00\x01\x00\x00\x00"), "ticket")
        await tickets.refuses(negotiate(b"\x60\x00"), "ticket")
        await tickets.refuses({"Authorization": "Negotiate !"}, "no token of SPNEGO")
        await tickets.refuses({"Authorization": "Negotiate"}, "no token of SPNEGO")
        await tickets.refuses({"Authorization": "Bearer x"}, "log in with the name", 401)
        used = tickets.header()
        certificates_in(await tickets.enrols(used, new_key()))
        await tickets.refuses(used, "replay")
        late = tickets.header(MACHINE, "-l", "3s")
        await until(lambda: _is_over(tmp_path / "BOT1$.tickets"))
        await tickets.refuses(late, "has expired")
        with Kdc(tmp_path / "evil", "EVIL.TEST") as evil:
            evil.service("BOT1$", tmp_path / "evil.keytab")
            evil.service(f"HTTP/{MGMT}", tickets.network.organisation.folder / "secrets" / "console.keytab")
            monkeypatch.setenv("KRB5_CONFIG", evil.environment["KRB5_CONFIG"])
            await tickets.refuses(foreign(evil, tmp_path, tickets.leaf), "is refused")
            monkeypatch.setenv("KRB5_CONFIG", tickets.kdc.environment["KRB5_CONFIG"])
        certificates_in(await tickets.enrols(tickets.header(), new_key()))
        assert len([*tickets.network.told[MGMT].events("enrolment refused")]) == 11


def foreign(evil: Kdc, folder: Path, leaf: x509.Certificate) -> dict[str, str]:
    """Give the header with a ticket of a computer of this name in another realm, for the service of this name there."""
    cache = f"FILE:{folder / 'evil.tickets'}"
    command = ("kinit", "-k", "-t", folder / "evil.keytab", "-c", cache, "BOT1$@EVIL.TEST")
    subprocess.run(command, env=evil.environment, check=True)
    client = gssapi.SecurityContext(
        name=gssapi.Name(f"HTTP/{MGMT}@EVIL.TEST", gssapi.NameType.kerberos_principal),
        creds=gssapi.Credentials(usage="initiate", store={"ccache": cache}),
        usage="initiate",
        mech=gssapi.OID.from_int_seq("1.3.6.1.5.5.2"),
        channel_bindings=gssapi.raw.ChannelBindings(application_data=end_point(leaf)),
    )
    return negotiate(client.step())


def _is_over(cache: Path) -> bool:
    try:
        return gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{cache}"}).lifetime == 0
    except gssapi.exceptions.ExpiredCredentialsError:
        return True


@on_loop
@pytest.mark.peer("kerberos")
async def test_tickets_that_fail_are_limited_and_those_that_enrol_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)
    async with with_machines(tmp_path, monkeypatch) as tickets:
        for _ in range(MOST_A_DAY):
            certificates_in(await tickets.enrols(tickets.header(), new_key()))
        answer = await tickets.enrols(tickets.header(), new_key())
        assert (answer.status, "which is the limit" in answer.text) == (429, True)
        for _ in range(FAILURES_A_MINUTE):
            await tickets.refuses({"Authorization": "Negotiate !"}, "no token of SPNEGO")
        await tickets.refuses({"Authorization": "Negotiate !"}, "", 429)
        certificates_in(await tickets.enrols(tickets.header(SECOND), new_key(), OTHER_BOT))


@on_loop
@pytest.mark.peer("kerberos")
async def test_revocation_ends_tickets_of_the_name_until_a_token_brings_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has stolen the machine has its keytab also."""
    async with with_machines(tmp_path, monkeypatch) as tickets:
        network = tickets.network
        [leaf] = certificates_in(await tickets.enrols(tickets.header(), new_key()))
        async with Visitor(network, "sona-token") as officer:
            serial = f"{leaf.serial_number:x}"
            assert (await officer.ask("POST", "/api/v1/revoke", json={"serial": serial})).status == 200
        await tickets.refuses(tickets.header(), "was revoked")
        certificates_in(await tickets.enrols(tickets.header(SECOND), new_key(), OTHER_BOT))
        made = await token(network)
        async with Visitor(network) as visitor:
            certificates_in(await enrol(visitor, BOT, made["password"], request(new_key())))
        certificates_in(await tickets.enrols(tickets.header(), new_key()))


@pytest.mark.parametrize(
    "change",
    ["UPDATE certificates SET revoked_at = NULL WHERE serial = ?", "DELETE FROM certificates WHERE serial = ?"],
)
@on_loop
@pytest.mark.peer("kerberos")
async def test_changed_ledger_gives_no_stolen_computer_its_tickets_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The CRL in force lists the certificate still, and the audit log has the revocation."""
    async with with_machines(tmp_path, monkeypatch) as tickets:
        network = tickets.network
        [leaf] = certificates_in(await tickets.enrols(tickets.header(), new_key()))
        serial = f"{leaf.serial_number:x}"
        async with Visitor(network, "sona-token") as officer:
            assert (await officer.ask("POST", "/api/v1/revoke", json={"serial": serial})).status == 200
        with closing(sqlite3.connect(network.organisation.ca.folder / FILE)) as db, db:
            assert db.execute(change, (serial,)).rowcount == 1
        await tickets.refuses(tickets.header(), "was revoked")
        certificates_in(await tickets.enrols(tickets.header(SECOND), new_key(), OTHER_BOT))


def forgotten(network: Managed, name: str) -> None:
    """Let there be no certificate of a server, as long after the last one has expired."""
    with closing(sqlite3.connect(network.organisation.ca.folder / FILE)) as db, db:
        assert db.execute("DELETE FROM certificates WHERE names LIKE ?", (f'["{name}"%',)).rowcount
    (network.organisation.folder / "servers" / f"{name}.pem").unlink(missing_ok=True)


@on_loop
@pytest.mark.peer("kerberos")
async def test_revocation_of_a_name_without_a_valid_certificate_ends_its_tickets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_machines(tmp_path, monkeypatch) as tickets:
        network = tickets.network
        forgotten(network, BOT)
        assert f"until: sipmesh ca enrol {BOT}" in await network.type("ca", "revoke", BOT)
        await tickets.refuses(tickets.header(), "was revoked")
        certificates_in(await tickets.enrols(tickets.header(SECOND), new_key(), OTHER_BOT))
        made = await token(network)
        async with Visitor(network) as visitor:
            certificates_in(await enrol(visitor, BOT, made["password"], request(new_key())))
        certificates_in(await tickets.enrols(tickets.header(), new_key()))


@on_loop
@pytest.mark.peer("kerberos")
async def test_new_root_gives_no_stolen_computer_its_tickets_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revocation is in the ledger of a generation that is retired; another computer enrols with the new root."""
    async with with_machines(tmp_path, monkeypatch) as tickets:
        network = tickets.network
        [leaf] = certificates_in(await tickets.enrols(tickets.header(), new_key()))
        async with Visitor(network, "sona-token") as officer:
            serial = f"{leaf.serial_number:x}"
            assert (await officer.ask("POST", "/api/v1/revoke", json={"serial": serial})).status == 200
        generations = CaGenerations(network.organisation.folder / "ca")
        generations.prepare(datetime.now(UTC))
        generations.activate()
        generations.switch()
        generations.retire(1)
        await tickets.refuses(tickets.header(), "was revoked")
        certificates_in(await tickets.enrols(tickets.header(SECOND), new_key(), OTHER_BOT))
        made = await token(network)
        async with Visitor(network) as visitor:
            certificates_in(await enrol(visitor, BOT, made["password"], request(new_key())))
        certificates_in(await tickets.enrols(tickets.header(), new_key()))


@on_loop
@pytest.mark.peer("kerberos")
async def test_topology_decides_whether_tickets_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with with_machines(tmp_path, monkeypatch) as tickets, Visitor(tickets.network) as visitor:
        asked = await visitor.ask("POST", f"{EST}/simpleenroll", data=b"", headers=PKCS10)
        assert (asked.status, asked.headers["WWW-Authenticate"] in (*est.CHALLENGE.values(), "Negotiate")) == (
            401,
            True,
        )
        keytab = tickets.network.organisation.folder / "secrets" / "console.keytab"
        keytab.chmod(0o640)
        await tickets.refuses(tickets.header(), "its log says why", 503)
        keytab.chmod(0o600)
        certificates_in(await tickets.enrols(tickets.header(), new_key()))
        await tickets.network.publish(lambda document: document["console"]["enrolment"].pop("kerberos"))
        await tickets.refuses(tickets.header(), "log in with the name", 401)
