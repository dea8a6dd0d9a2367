"""Linux hosts join a real Active Directory, that of Samba with its name server, by adcli and by realm; then they enrol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cli.world import sipmesh
from support.directory_ca import HOST, DirectoryCa
from support.enrolling import BOT, BOTS, EST, OTHER_BOT, enrolling
from support.joined_host import DOMAIN, JoinedHost
from support.managed import MGMT, Managed
from support.running import within
from support.samba_ad import PASSWORD, REALM, SambaAd

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.wide,
    *map(pytest.mark.peer, ("samba", "openldap", "kerberos", "curl", "openssl", "adcli", "realm")),
]

SCRIPT = Path(__file__).parents[2] / "packaging" / "domain" / "install-domain-roots"
HTTP = f"HTTP/{MGMT}"
PUBLISHES = f"""
    echo '{PASSWORD}' | kinit Administrator@{REALM}
    ldapmodify -Q -N -Y GSSAPI -O minssf=128 -H ldap://{HOST} -f root.ldif"""
ENROLS = """
    openssl ecparam -name prime256v1 -genkey -noout -out bot.key
    openssl req -new -key bot.key -subj /CN={server} -outform DER | openssl base64 > bot.b64
    kinit -k -t /etc/krb5.keytab '{account}'
    curl --silent --show-error --fail --negotiate --user : --header 'Content-Type: application/pkcs10' --data @bot.b64 \\
        https://{management}{path}/simpleenroll > bot.p7
    openssl base64 -d -in bot.p7 | openssl pkcs7 -inform DER -print_certs -out bot.pem"""
"""No root is named: the host got it from the domain."""

JOINS = {
    "adcli": f"echo -n '{PASSWORD}' | adcli join {DOMAIN} --login-user=Administrator --stdin-password",
    "realm": f"echo -n '{PASSWORD}' | realm join --install=/ --user=Administrator {DOMAIN}",
}
"""Without systemd and D-Bus, realm does itself what its service does otherwise (``--install``)."""


@dataclass
class Domain:
    """The domain of *samba*, and the *network* whose topology names two of its computers."""

    samba: SambaAd
    network: Managed
    folder: Path

    @property
    def management(self) -> str:
        document: Any = self.network.organisation.document
        return f"{MGMT}:{document['console']['listen'].rpartition(':')[2]}"

    def host(self, name: str) -> JoinedHost:
        """A host that has not joined yet."""
        host = JoinedHost(self.folder / name, name, self.samba, (MGMT,))
        printed = sipmesh("ca", "root", "ldif", DOMAIN, "--topology", self.network.organisation.file)
        assert printed.code == 0, printed.err
        (host.folder / "root.ldif").write_text(printed.out)
        return host

    def enrols(self, name: str, server: str) -> str:
        """What the host *name* types to be *server*."""
        account = f"{name.upper()}$@{REALM}"
        return ENROLS.format(server=server, account=account, management=self.management, path=EST)


@pytest.fixture(name="samba")
def _samba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SambaAd]:
    """The domain, with an account for the service of management, and no computer."""
    with SambaAd(tmp_path / "dc1", DirectoryCa().server(HOST), dns=True) as samba:
        monkeypatch.setenv("KRB5_CONFIG", str(samba.kerberos))
        samba.tool("user", "create", "http", "--random-password")
        samba.tool("spn", "add", HTTP, "http")
        samba.keytab(HTTP, tmp_path / "http.keytab")
        yield samba


@asynccontextmanager
async def domain_of(tmp_path: Path, samba: SambaAd) -> AsyncIterator[Domain]:
    """The network, whose topology names two computers of the domain."""
    async with enrolling(tmp_path / "n", "est") as network:
        (network.organisation.folder / "secrets").mkdir(exist_ok=True)
        (tmp_path / "http.keytab").rename(network.organisation.folder / "secrets" / "http.keytab")
        servers = {"BOT1": BOT, "BOT2": OTHER_BOT}
        machines = [{"principal": f"{name}$@{REALM}", "server": server} for name, server in servers.items()]
        entry = {"realm": REALM, "keytab": "secrets/http.keytab", "machines": machines}
        await network.publish(lambda document: document["console"]["enrolment"].update(kerberos=entry))
        yield Domain(samba, network, tmp_path)


@within(400.0)
async def test_host_that_has_joined_gets_the_root_and_a_certificate_by_its_keytab(
    tmp_path: Path, samba: SambaAd
) -> None:
    """A host of the domain that the topology does not name gets the root, and no certificate."""
    async with domain_of(tmp_path, samba) as domain:
        root = x509.load_pem_x509_certificate(domain.network.organisation.root.read_bytes())
        roots = f"{SCRIPT} {REALM} {HOST}"
        tickets = {"KRB5CCNAME": f"FILE:{tmp_path / 'tickets'}"}
        first = domain.host("bot1")
        await first.runs(JOINS["adcli"])
        assert "trusted" not in (await first.type(domain.enrols("bot1", BOT), **tickets))[1]
        await first.runs(PUBLISHES, **tickets)
        for name, server, joins in (("bot1", BOT, ""), ("bot2", OTHER_BOT, JOINS["realm"])):
            host = first if name == "bot1" else domain.host(name)
            await host.runs(f"{joins}\n{roots}{domain.enrols(name, server)}", **tickets)
            leaf = x509.load_pem_x509_certificate((host.folder / "bot.pem").read_bytes())
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert names.get_values_for_type(x509.DNSName) == [server, BOTS]
            (installed,) = (host.folder / "roots" / "domain").iterdir()
            assert installed.read_bytes() == root.public_bytes(Encoding.PEM)
        assert "configured: kerberos-member" in await host.runs("realm list --install=/")
        stranger = domain.host("pc7")
        await stranger.runs(f"{JOINS['adcli']}\n{roots}")
        code, out = await stranger.type(domain.enrols("pc7", BOT), **tickets)
        assert (code != 0, "403" in out) == (True, True), out
        await first.runs(
            f"echo -n '{PASSWORD}' | adcli delete-computer --login-user=Administrator --stdin-password --domain={DOMAIN}"
        )
        code, out = await first.type(domain.enrols("bot1", BOT), **tickets)
        assert (code != 0, "not found in Kerberos database" in out) == (True, True), out
