"""Clients of others enrol, renew and revoke, unchanged: EST by libest, strongSwan and curl; ACME by certbot, lego and acme."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from interop.hosts_file import require_namespaces, with_hosts
from sipmesh.demo.nameserver import NameServer
from support.console import Visitor
from support.enrolling import BOT, BOTS, EST, enrolling, new_key, request, run, token, write_pair
from support.kdc import REALM, Kdc
from support.managed import MGMT, Managed
from support.model_ports import model_port
from support.running import on_loop

ACME_PROGRAM = Path(__file__).with_name("acme_program.py")
STRONGSWAN = "include /etc/strongswan.conf\npki {\n tls {\n  version_max = 1.3\n }\n}\n"
"""Its command speaks TLS 1.2 unless this says otherwise."""


@dataclass
class Machine:
    """The machine of a server that enrols: *folder* has its key, its signing request and the root of the organisation."""

    network: Managed
    folder: Path
    port: int
    challenge_port: int

    @property
    def management(self) -> str:
        """Name and port of management."""
        return f"{MGMT}:{self.port}"

    @property
    def acme(self) -> str:
        """The directory of ACME."""
        return f"https://{self.management}/acme/directory"

    async def runs(self, script: str, **environment: str) -> str:
        """Run a script that must succeed; gives what it wrote."""
        (self.folder / "script").write_text(f"set -eu\n{script}\n")
        command = with_hosts(self.folder, "bash script", MGMT, BOT)
        code, out = await run(*command, cwd=self.folder, **environment)
        assert code == 0, out
        return out

    def certificate(self, file: str) -> x509.Certificate:
        """The certificate in a file, which has the names of the topology and is noted in the audit log."""
        found = x509.load_pem_x509_certificate((self.folder / file).read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [BOT, BOTS]
        noted = [line.about.get("serial") for line in self.network.master.management_db.audit.read()]
        assert f"{found.serial_number:x}" in noted
        return found


@asynccontextmanager
async def machine(folder: Path, *protocols: str) -> AsyncIterator[Machine]:
    """A machine whose server may enrol by *protocols*."""
    require_namespaces()
    challenge_port = model_port()
    async with enrolling(folder / "n", *protocols, http_port=challenge_port, tls_alpn_port=challenge_port) as network:
        where, key = folder / "m", new_key()
        where.mkdir()
        csr = x509.load_der_x509_csr(request(key, BOT))
        (where / "bot.csr").write_bytes(csr.public_bytes(Encoding.PEM))
        (where / "bot.der").write_bytes(csr.public_bytes(Encoding.DER))
        (where / "root.pem").write_bytes(network.organisation.root.read_bytes())
        certificate = x509.load_pem_x509_certificate(network.organisation.root.read_bytes())
        write_pair(where, certificate, key)[1].rename(where / "bot.key")
        port = int(network.organisation.document["console"]["listen"].rpartition(":")[2])
        yield Machine(network, where, port, challenge_port)


@on_loop
@pytest.mark.peer("libest")
async def test_libest_gets_the_roots_enrols_and_enrols_again(tmp_path: Path) -> None:
    async with machine(tmp_path, "est") as here:
        made = await token(here.network)
        await here.runs(f"""
            export EST_OPENSSL_CACERT=root.pem
            mkdir got
            estclient -g -s {MGMT} -p {here.port} -o got
            openssl base64 -d -in got/cacert-0-0.pkcs7 | openssl pkcs7 -inform DER -print_certs -out roots.pem
            estclient -e -s {MGMT} -p {here.port} -o got -u {BOT} -h {made["password"]} -y bot.csr
            openssl base64 -d -in got/cert-0-0.pkcs7 | openssl pkcs7 -inform DER -print_certs -out first.pem
            estclient -r -s {MGMT} -p {here.port} -o got -c first.pem -k bot.key
            openssl base64 -d -in got/cert-0-0.pkcs7 | openssl pkcs7 -inform DER -print_certs -out second.pem
            openssl verify -CAfile roots.pem first.pem second.pem""")
        assert here.certificate("first.pem").serial_number != here.certificate("second.pem").serial_number


@on_loop
@pytest.mark.peer("strongswan")
async def test_strongswan_gets_the_roots_enrols_and_enrols_again(tmp_path: Path) -> None:
    async with machine(tmp_path, "est") as here:
        made = await token(here.network)
        (here.folder / "strongswan.conf").write_text(STRONGSWAN)
        given = f"--url https://{here.management} --cacert root.pem"
        await here.runs(
            f"""
            pki --estca {given} --caout roots.pem --outform pem
            pki --est {given} --userpass {BOT}:{made["password"]} --in bot.der --outform pem > first.pem
            pki --est {given} --cert first.pem --key bot.key --in bot.der --outform pem > second.pem
            openssl verify -CAfile root.pem -untrusted roots-1.pem first.pem second.pem""",
            STRONGSWAN_CONF="strongswan.conf",
        )
        assert here.certificate("first.pem").serial_number != here.certificate("second.pem").serial_number


@on_loop
@pytest.mark.peer("curl")
@pytest.mark.peer("openssl")
async def test_curl_and_openssl_enrol_and_enrol_again_in_tls_1_2_and_1_3(tmp_path: Path) -> None:
    async with machine(tmp_path, "est") as here:
        made = await token(here.network)
        curl = "curl --silent --show-error --fail --cacert root.pem --header 'Content-Type: application/pkcs10'"
        url = f"https://{here.management}{EST}"
        opened = "openssl base64 -d | openssl pkcs7 -inform DER -print_certs -out"
        await here.runs(f"""
            openssl base64 -in bot.der -out bot.b64
            {curl} --user {BOT}:{made["password"]} --data @bot.b64 {url}/simpleenroll | {opened} first.pem
            {curl} --tls-max 1.2 --cert first.pem --key bot.key --data @bot.b64 {url}/simplereenroll | {opened} second.pem
            {curl} --tlsv1.3 --cert second.pem --key bot.key --data @bot.b64 {url}/simplereenroll | {opened} third.pem""")
        serials = {here.certificate(f"{name}.pem").serial_number for name in ("first", "second", "third")}
        assert len(serials) == 3


@on_loop
@pytest.mark.peer("curl")
@pytest.mark.peer("openssl")
@pytest.mark.peer("kerberos")
async def test_curl_enrols_by_the_ticket_of_a_computer_of_the_domain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Curl binds the ticket to the TLS connection. It asks for one when the server does, and enrols without a token."""
    with Kdc(tmp_path / "kdc") as kdc:
        monkeypatch.setenv("KRB5_CONFIG", kdc.environment["KRB5_CONFIG"])
        kdc.service("BOT1$", tmp_path / "host.keytab")
        async with machine(tmp_path, "est") as here:
            secrets = here.network.organisation.folder / "secrets"
            secrets.mkdir(exist_ok=True)
            kdc.service(f"HTTP/{MGMT}", secrets / "http.keytab")
            machines = [{"principal": f"BOT1$@{REALM}", "server": BOT}]
            entry = {"realm": REALM, "keytab": "secrets/http.keytab", "machines": machines}
            await here.network.publish(lambda document: document["console"]["enrolment"].update(kerberos=entry))
            curl = "curl --silent --show-error --fail --cacert root.pem --header 'Content-Type: application/pkcs10'"
            opened = "openssl base64 -d | openssl pkcs7 -inform DER -print_certs -out"
            await here.runs(
                f"""
                kinit -k -t {tmp_path / "host.keytab"} 'BOT1$@{REALM}'
                openssl base64 -in bot.der -out bot.b64
                url=https://{here.management}{EST}
                {curl} --negotiate --user : --data @bot.b64 $url/simpleenroll | {opened} first.pem
                {curl} --cert first.pem --key bot.key --data @bot.b64 $url/simplereenroll | {opened} second.pem""",
                KRB5_CONFIG=kdc.environment["KRB5_CONFIG"],
                KRB5CCNAME=f"FILE:{tmp_path / 'tickets'}",
            )
            assert len({here.certificate(f"{name}.pem").serial_number for name in ("first", "second")}) == 2


@pytest.mark.wide
@on_loop
@pytest.mark.peer("certbot")
async def test_certbot_registers_enrols_renews_revokes_and_leaves(tmp_path: Path) -> None:
    async with machine(tmp_path, "acme") as here:
        made = await token(here.network)
        folders = "--config-dir c --work-dir w --logs-dir l -n"
        await here.runs(
            f"""
            certbot certonly {folders} --standalone --http-01-address 127.0.0.1 --http-01-port {here.challenge_port} \\
                --server {here.acme} --eab-kid {made["key_id"]} --eab-hmac-key {made["mac_key"]} -d {BOT} \\
                --agree-tos --email ops@example.test --no-eff-email
            cp c/live/{BOT}/fullchain.pem first.pem
            certbot renew {folders} --force-renewal --no-random-sleep-on-renew
            cp c/live/{BOT}/fullchain.pem second.pem
            certbot revoke {folders} --server {here.acme} --cert-path first.pem --reason superseded --no-delete-after-revoke
            certbot update_account {folders} --server {here.acme} --email new@example.test
            certbot unregister {folders} --server {here.acme}""",
            REQUESTS_CA_BUNDLE="root.pem",
        )
        first, second = here.certificate("first.pem"), here.certificate("second.pem")
        assert first.serial_number != second.serial_number
        revoked = [line for line in here.network.master.management_db.audit.read() if line.act == "revoke"]
        assert [line.about["serial"] for line in revoked] == [f"{first.serial_number:x}"]


@pytest.mark.wide
@on_loop
@pytest.mark.peer("lego")
async def test_lego_enrols_by_http_01_renews_by_tls_alpn_01_and_revokes(tmp_path: Path) -> None:
    async with machine(tmp_path, "acme") as here:
        made = await token(here.network)
        binding = f"--eab --kid {made['key_id']} --hmac {made['mac_key']}"
        lego = f"lego --server {here.acme} {binding} --accept-tos --email ops@example.test --domains {BOT} --path l"
        where = f"127.0.0.1:{here.challenge_port}"
        await here.runs(
            f"""
            {lego} --http --http.port {where} run
            cp l/certificates/{BOT}.crt first.pem
            {lego} --tls --tls.port {where} renew --days 90 --no-random-sleep
            cp l/certificates/{BOT}.crt second.pem
            {lego} revoke""",
            LEGO_CA_CERTIFICATES="root.pem",
        )
        assert here.certificate("first.pem").serial_number != here.certificate("second.pem").serial_number
        lines = here.network.master.management_db.audit.read()
        issued = [
            line.about["because"] for line in lines if line.about.get("protocol") == "acme" and line.act == "issue"
        ]
        assert ["http-01" in issued[0], "tls-alpn-01" in issued[1]] == [True, True]


@pytest.mark.wide
@on_loop
@pytest.mark.parametrize("client", [pytest.param(one, marks=pytest.mark.peer(one)) for one in ("certbot", "lego")])
async def test_account_that_was_revoked_orders_nothing_until_a_new_token_makes_another(
    tmp_path: Path, client: str
) -> None:
    """The operator revokes the certificate of the machine; the client has kept the key of its account."""
    async with machine(tmp_path, "acme") as here:
        await here.runs(await enrols_by(client, here), **ROOTS)
        leaf = here.certificate(FILES[client])
        async with Visitor(here.network, "sona-token") as officer:
            asked = {"serial": f"{leaf.serial_number:x}"}
            assert (await officer.ask("POST", "/api/v1/revoke", json=asked)).status == 200
        told = await here.runs(f"! ({RENEWS[client].format(here=here)}) 2>&1", **ROOTS)
        assert "the account is revoked" in told
        await here.runs(f"rm -r {ACCOUNTS[client]}\n{await enrols_by(client, here)}", **ROOTS)
        assert here.certificate(FILES[client]).serial_number != leaf.serial_number


ROOTS = {"REQUESTS_CA_BUNDLE": "root.pem", "LEGO_CA_CERTIFICATES": "root.pem"}
FILES = {"certbot": f"c/live/{BOT}/fullchain.pem", "lego": f"l/certificates/{BOT}.crt"}
ACCOUNTS = {"certbot": "c/accounts", "lego": "l/accounts"}
FOLDERS = "--config-dir c --work-dir w --logs-dir l -n"
RENEWS = {
    "certbot": f"certbot renew {FOLDERS} --force-renewal --no-random-sleep-on-renew",
    "lego": f"lego --server {{here.acme}} --eab --kid x --hmac eA --accept-tos --email ops@example.test --domains {BOT} --path l "
    "--http --http.port 127.0.0.1:{here.challenge_port} renew --days 90 --no-random-sleep",
}


async def enrols_by(client: str, here: Machine) -> str:
    """The command with which a client registers with a new token, and gets a certificate by http-01."""
    made, where = await token(here.network), f"127.0.0.1:{here.challenge_port}"
    if client == "lego":
        binding = f"--eab --kid {made['key_id']} --hmac {made['mac_key']}"
        lego = f"lego --server {here.acme} {binding} --accept-tos --email ops@example.test --domains {BOT} --path l"
        return f"{lego} --http --http.port {where} run"
    return f"""certbot certonly {FOLDERS} --standalone --http-01-address 127.0.0.1 --http-01-port {here.challenge_port} \
        --server {here.acme} --eab-kid {made["key_id"]} --eab-hmac-key {made["mac_key"]} -d {BOT} --cert-name {BOT} \
        --renew-with-new-domains --force-renewal \
        --agree-tos --email ops@example.test --no-eff-email"""


@pytest.mark.wide
@on_loop
@pytest.mark.peer("lego")
async def test_lego_enrols_by_dns_01(tmp_path: Path) -> None:
    """Its record is written by a program of the operator, as for a zone that no protocol changes."""
    nameserver = await NameServer({(BOT, "A"): ["127.0.0.1"]}).start()
    try:
        async with machine(tmp_path, "acme") as here:
            await here.network.publish(lambda document: document.update(dns={"servers": [nameserver.setting]}))
            made = await token(here.network)
            binding = f"--eab --kid {made['key_id']} --hmac {made['mac_key']}"
            (here.folder / "hook").write_text('#!/bin/sh\nprintf \'%s %s %s\\n\' "$1" "$2" "$3" >> records\n')
            (here.folder / "hook").chmod(0o755)
            nameserver.records = Written(here.folder / "records", nameserver.records)
            await here.runs(
                f"""
                lego --server {here.acme} {binding} --accept-tos --email ops@example.test --domains {BOT} --path l \\
                    --dns exec --dns.resolvers {nameserver.setting} --dns.disable-cp run
                cp l/certificates/{BOT}.crt first.pem""",
                LEGO_CA_CERTIFICATES="root.pem",
                EXEC_PATH="./hook",
            )
            here.certificate("first.pem")
    finally:
        nameserver.close()


class Written(dict[tuple[str, str], list[str]]):
    """The records of a name server, and those that a hook has written into *file*."""

    def __init__(self, file: Path, others: dict[tuple[str, str], list[str]]) -> None:
        super().__init__(others)
        self._file = file

    def get(self, question: tuple[str, str], default: list[str] | None = None) -> list[str]:  # type: ignore[override]
        """Return the records of one question."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        written = [words.split() for words in lines]
        found = [
            f'"{value}"' for act, name, value in written if act == "present" and question == (name.rstrip("."), "TXT")
        ]
        return found or super().get(question, default or [])


@on_loop
@pytest.mark.peer("acme")
async def test_package_acme_enrols_renews_asks_when_to_renew_and_revokes(tmp_path: Path) -> None:
    async with machine(tmp_path, "acme") as here:
        made = await token(here.network)
        given = {"directory": here.acme, "root": "root.pem", "name": BOT, "port": here.challenge_port}
        settings = json.dumps({**given, "key_id": made["key_id"], "mac_key": made["mac_key"]})
        (here.folder / "settings").write_text(settings)
        told = json.loads(await here.runs(f'exec {sys.executable} {ACME_PROGRAM} "$(cat settings)"'))
        assert len(set(told["serials"])) == 2
        renewal, ends = (datetime.fromisoformat(told[name]) for name in ("renewal", "ends"))
        assert 5 <= (ends - renewal).days <= 10
        revoked = [line for line in here.network.master.management_db.audit.read() if line.act == "revoke"]
        assert [line.about["serial"] for line in revoked] == [told["serials"][0]]
