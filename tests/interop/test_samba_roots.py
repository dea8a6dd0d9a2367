"""Our root in a real Active Directory, that of Samba, and at a Linux host that is joined to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import ldap
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cli.world import sipmesh
from sipmesh.demo.forge import Forge
from sipmesh.demo.organisation import Organisation
from sipmesh.pki.active_directory import PLACE, root_dn
from support.directory_ca import HOST, DirectoryCa
from support.managed import build_published
from support.samba_ad import DOMAIN, PASSWORD, REALM, SambaAd

pytestmark = [pytest.mark.wide, pytest.mark.peer("samba"), pytest.mark.peer("openldap"), pytest.mark.peer("kerberos")]

SCRIPT = Path(__file__).parents[2] / "packaging" / "domain" / "install-domain-roots"
FOREST = "corp.test"
PUBLIC_KEYS = f"{PLACE},{DOMAIN}"
EMPTY_CA = b"\x00"


@dataclass
class Domain:
    """The domain of *samba*, with an *organisation* whose management prints the LDIF, and the folder of a joined host."""

    samba: SambaAd
    organisation: Organisation
    host: Path

    @property
    def root(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.organisation.folder / "ca" / "root.pem").read_bytes())

    def publish(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Print the LDIF, and apply it as an administrator does."""
        printed = sipmesh("ca", "root", "ldif", FOREST, "--topology", self.organisation.file)
        assert printed.code == 0, printed.err
        administrator = ("-x", "-D", f"CN=Administrator,CN=Users,{DOMAIN}", "-w", PASSWORD)
        command = ("ldapmodify", *options, "-H", f"ldaps://{self.samba.address}", *administrator)
        environment = {**os.environ, "LDAPTLS_REQCERT": "never"}
        return subprocess.run(command, input=printed.out, env=environment, capture_output=True, text=True, check=False)

    def add_ca(self, name: str, certificate: x509.Certificate) -> None:
        """Publish another certificate, as an administrator may."""
        with self.samba.administrator() as admin:
            values = {
                "objectClass": b"certificationAuthority",
                "cACertificate": certificate.public_bytes(Encoding.DER),
                "authorityRevocationList": EMPTY_CA,
                "certificateRevocationList": EMPTY_CA,
            }
            admin.add_s(f"CN={name},CN=Certification Authorities,{PUBLIC_KEYS}", [(k, [v]) for k, v in values.items()])

    def entries(self, place: str) -> dict[str, Mapping[str, list[bytes]]]:
        """Give the entries below a place of the public keys, by name in lower case."""
        with self.samba.administrator() as admin:
            found = admin.search_s(f"{place}{PUBLIC_KEYS}", ldap.SCOPE_SUBTREE, "(objectClass=certificationAuthority)")
        return {dn.lower(): attributes for dn, attributes in found}

    def installs(self, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run the script of the how-to at the host, whose folders are below `host`."""
        for name in ("bundle", "local/domain", "hooks"):
            (self.host / name).mkdir(parents=True, exist_ok=True)
        (self.host / "conf").touch()
        folders = {"certsconf": "conf", "certsdir": "none", "localcertsdir": "local", "hooksdir": "hooks"}
        options = " ".join(f"--{option} {self.host / name}" for option, name in folders.items())
        environment = {
            **os.environ,
            "KRB5_CONFIG": str(self.samba.kerberos),
            "KEYTAB": str(self.host / "krb5.keytab"),
            "FOLDER": str(self.host / "local" / "domain"),
            "UPDATE": f"update-ca-certificates {options} --etccertsdir {self.host / 'bundle'}",
            **changed,
        }
        command = (str(SCRIPT), REALM, self.samba.address)
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def trusted(self) -> set[bytes]:
        """Give the certificates in the bundle of the host."""
        bundle = self.host / "bundle" / "ca-certificates.crt"
        if not bundle.exists() or not bundle.read_bytes():
            return set()
        return {one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(bundle.read_bytes())}


@pytest.fixture(name="domain")
def _domain(tmp_path: Path) -> Iterator[Domain]:
    host = tmp_path / "host"
    host.mkdir()
    with SambaAd(tmp_path / "dc1", DirectoryCa().server(HOST)) as samba:
        samba.tool("computer", "create", "phone1")
        samba.tool("user", "setpassword", "phone1$", f"--newpassword={PASSWORD}")
        samba.tool("spn", "add", f"ldap/{samba.address}", "dc1$")  # there is no DNS here
        samba.keytab("phone1$", host / "krb5.keytab")
        yield Domain(samba, build_published(tmp_path / "o"), host)


def test_domain_takes_our_root_and_gives_it_back_as_it_is(domain: Domain) -> None:
    """It is a root for TLS alone: a CA below NTAuthCertificates can log in any account, so nothing of ours is there."""
    done = domain.publish()
    assert done.returncode == 0, done.stderr
    entry = domain.entries("CN=Certification Authorities,")[root_dn(domain.root, FOREST).lower()]
    assert entry["cACertificate"] == [domain.root.public_bytes(Encoding.DER)]
    assert set(domain.entries("")) == {root_dn(domain.root, FOREST).lower()}
    again = domain.publish()
    assert (again.returncode, "Already exists" in again.stderr) == (68, True)
    assert domain.publish("-c").returncode == 68
    assert len(domain.entries("")) == 1


def test_joined_host_gets_the_roots_and_loses_them_with_the_domain(domain: Domain) -> None:
    """It trusts a server of ours by the bundle of the system alone."""
    assert domain.publish().returncode == 0
    done = domain.installs()
    assert done.returncode == 0, done.stderr
    assert domain.trusted() == {domain.root.public_bytes(Encoding.DER)}
    chain = next((domain.organisation.folder / "servers").glob("fe1.*.pem"))
    issuing = domain.organisation.folder / "ca" / "issuing.pem"
    bundle = ("-CAfile", domain.host / "bundle" / "ca-certificates.crt", "-no-CApath", "-no-CAstore")
    subprocess.run(("openssl", "verify", *bundle, "-untrusted", issuing, chain), check=True, capture_output=True)
    other = Forge(datetime.now(UTC)).root("Other").certificate
    domain.add_ca("Other", other)
    assert domain.installs().returncode == 0
    assert domain.trusted() == {one.public_bytes(Encoding.DER) for one in (domain.root, other)}
    domain.samba.delete(root_dn(domain.root, FOREST))
    assert domain.installs().returncode == 0
    assert domain.trusted() == {other.public_bytes(Encoding.DER)}


def test_host_believes_no_other_server_and_no_certificate_that_is_no_root(domain: Domain) -> None:
    """A domain without a root, a host without a machine account, and a server without the key of the service change nothing."""
    ca = DirectoryCa()
    domain.add_ca("Issuing", ca.issuing.certificate)
    domain.add_ca("Server", ca.server("a.test").certificate)
    done = domain.installs()
    assert (done.returncode, "publishes no root" in done.stderr, domain.trusted()) == (1, True, set())
    assert domain.publish().returncode == 0
    assert domain.installs().returncode == 0
    before = domain.trusted()
    assert before == {domain.root.public_bytes(Encoding.DER)}
    domain.add_ca("Other", Forge(datetime.now(UTC)).root("Other").certificate)
    domain.samba.tool("spn", "delete", f"ldap/{domain.samba.address}", "dc1$")
    assert domain.installs().returncode != 0
    domain.samba.tool("computer", "create", "phone2")
    domain.samba.tool("user", "setpassword", "phone2$", f"--newpassword={PASSWORD}")
    domain.samba.tool(
        "spn", "add", f"ldap/{domain.samba.address}", "phone2$"
    )  # the ticket is for another key than the server has
    assert domain.installs().returncode != 0
    users = domain.host / "users.keytab"
    domain.samba.keytab("sipmesh", users)
    done = domain.installs(KEYTAB=str(users))
    assert (done.returncode, "has no machine account" in done.stderr, domain.trusted()) == (1, True, before)
    domain.samba.tool("spn", "delete", f"ldap/{domain.samba.address}", "phone2$")
    domain.samba.tool("spn", "add", f"ldap/{domain.samba.address}", "dc1$")
    assert domain.installs().returncode == 0
    assert len(domain.trusted()) == 2


def test_name_that_is_no_domain_is_refused(tmp_path: Path) -> None:
    organisation = build_published(tmp_path / "o")
    for wrong in ("corp.test,CN=NTAuthCertificates", "corp.test\ndn: x", "192.0.2.1", "corp"):
        done = sipmesh("ca", "root", "ldif", wrong, "--topology", organisation.file)
        assert (done.code, done.out) == (1, ""), done.err
