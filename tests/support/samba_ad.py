"""A real domain controller of Samba, with one domain, in a folder of its own, on an address of its own, over TLS.

The ports of Active Directory are fixed, so that it listens on an address of 127.0.0.0/8 where these ports are free.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import ldap
import pytest

from sipmesh.server.process.fork_server import die_with_parent
from support.directory_ca import HOST
from support.running import LOOK_AGAIN_S

if TYPE_CHECKING:
    from sipmesh.demo.forge import Forged

START_S: Final = 60.0
LDAPS: Final = 636
KDC: Final = 88
DOMAIN: Final = "DC=corp,DC=test"
REALM: Final = "CORP.TEST"
ACCOUNT, KEYTAB = f"sipmesh@{REALM}", "secrets/directory.keytab"
PEOPLE, GROUPS = f"OU=People,{DOMAIN}", f"OU=Groups,{DOMAIN}"
READER, PASSWORD = f"CN=sipmesh,CN=Users,{DOMAIN}", "correct Horse 9"

CONFIGURATION: Final = """
[global]
workgroup = CORP
realm = CORP.TEST
netbios name = DC1
server role = active directory domain controller
server services = {services}
interfaces = {address}/8
bind interfaces only = yes
lock directory = {folder}
state directory = {folder}/state
cache directory = {folder}/cache
private dir = {folder}/private
pid directory = {folder}
ncalrpc dir = {folder}/ncalrpc
ntp signd socket directory = {folder}/ntp
winbindd socket directory = {folder}/winbindd
binddns dir = {folder}/bind-dns
tls enabled = yes
tls certfile = {chain}
tls keyfile = {key}
tls cafile =
"""

KERBEROS: Final = """
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
[realms]
{realm} = {{
kdc = {address}
}}
"""

PROVISION: Final = (
    *("samba-tool", "domain", "provision", "--realm=CORP.TEST", "--domain=CORP", "--server-role=dc"),
    *("--host-name=dc1", "--backend-store=mdb", "--option=log level=0", "--backend-store-size=64MB"),
)


def free_address() -> str:
    """Give an address whose ports of Active Directory are free.

    A test is skipped where this user may not listen on them; in CI that is a failure, as a missing peer is.
    """
    while True:
        address = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"
        with socket.socket() as probe:
            try:
                probe.bind((address, LDAPS))
            except OSError as wrong:
                if wrong.errno == errno.EADDRINUSE:
                    continue
                break
        return address
    reason = f"a domain controller needs the right to listen on port {LDAPS}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class SambaAd:
    """The domain controller with *certificate*; the domain has an account that reads, and places for people and groups.

    With *dns* it has the name server of the domain too, at port 53 of its address.
    """

    def __init__(self, folder: Path, certificate: Forged, *, dns: bool = False) -> None:
        self.folder, self.address = folder, free_address()
        self._configuration = folder / "smb.conf"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        chain, key = certificate.write(folder, "server")
        backend = "SAMBA_INTERNAL" if dns else "NONE"
        given = (
            *(f"--targetdir={folder / 'dc'}", f"--adminpass={PASSWORD}"),
            *(f"--dns-backend={backend}", f"--host-ip={self.address}"),
        )
        subprocess.run((*PROVISION, *given), check=True, capture_output=True)
        services = "ldap, cldap, kdc, dns" if dns else "ldap, kdc"
        given_keys = {"address": self.address, "folder": folder / "dc", "chain": chain, "key": key}
        self._configuration.write_text(CONFIGURATION.format(**given_keys, services=services))
        self.kerberos = folder / "krb5.conf"
        self.kerberos.write_text(KERBEROS.format(realm=REALM, address=self.address))

    def __repr__(self) -> str:
        return f"<SambaAd on {self.address}>"

    def __enter__(self) -> Self:
        self.start()
        for place in (PEOPLE, GROUPS):
            self.tool("ou", "create", place)
        self.tool("user", "create", "sipmesh", PASSWORD)
        self.tool("user", "setexpiry", "sipmesh", "--noexpiry")
        self.tool("spn", "add", f"ldap/{HOST}", "dc1$")  # as its other services do, which do not run here
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = ("samba", "-i", "-M", "single", "-s", str(self._configuration), "--debug-stdout", "-d", "1")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)  # noqa: PLW1509
        ends = time.monotonic() + START_S
        while time.monotonic() < ends and self._process.poll() is None:
            if all(_answers(self.address, port) for port in (LDAPS, KDC)):
                return
            time.sleep(LOOK_AGAIN_S)
        raise TimeoutError((self.folder / "log").read_text())

    def keytab(self, name: str, path: Path) -> Path:
        """Write the keys of an account, mode 0600; they stay valid."""
        self.tool("domain", "exportkeytab", str(path), f"--principal={name}")
        path.chmod(0o600)
        return path

    def tool(self, *words: str) -> str:
        """Type a command of the administrator of the domain."""
        command = ("samba-tool", *words, "-s", str(self._configuration))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def person(self, name: str, *options: str) -> None:
        """Add an account below `PEOPLE`."""
        self.tool("user", "create", name, PASSWORD, "--userou=OU=People", *options)

    def group(self, name: str, *members: str) -> str:
        """Add a group below `GROUPS`, and give its DN."""
        self.tool("group", "add", name, "--groupou=OU=Groups")
        if members:
            self.tool("group", "addmembers", name, ",".join(members))
        return f"CN={name},{GROUPS}"

    @contextmanager
    def administrator(self) -> Iterator[Any]:
        """A connection of the administrator: one change by it is a hundred times as quick as one by `tool`."""
        connection = ldap.initialize(f"ldaps://{self.address}")
        for option, value in (
            (ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_NEVER),
            (ldap.OPT_X_TLS_NEWCTX, 0),
            (ldap.OPT_REFERRALS, 0),
        ):
            connection.set_option(option, value)
        connection.simple_bind_s(f"CN=Administrator,CN=Users,{DOMAIN}", PASSWORD)
        try:
            yield connection
        finally:
            connection.unbind_s()

    def change(self, dn: str, **given: str) -> None:
        """Replace attributes of an entry."""
        with self.administrator() as admin:
            admin.modify_s(dn, [(ldap.MOD_REPLACE, name, [value.encode()]) for name, value in given.items()])

    def move(self, dn: str, superior: str, name: str = "") -> None:
        """Move an entry below another one, and give it another *name*."""
        with self.administrator() as admin:
            admin.rename_s(dn, name or dn.partition(",")[0], newsuperior=superior)

    def delete(self, dn: str) -> None:
        """Delete an entry."""
        with self.administrator() as admin:
            admin.delete_s(dn)

    def let_replicate(self) -> None:
        """Give the account that reads the right Replicating Directory Changes, as the how-to has it."""
        self._set_right(DOMAIN, "OA;;CR;1131f6aa-9c07-11d1-f79f-00c04fc2dcd2")

    def hide(self, dn: str, attributes: str) -> None:
        """Take the right to read a set of *attributes* of an entry, which is named by its GUID, from the account that reads."""
        self._set_right(dn, f"OD;;RP;{attributes}")

    def _set_right(self, dn: str, right: str) -> None:
        shown = self.tool("user", "show", "sipmesh", "--attributes=objectSid")
        sid = next(line.partition(": ")[2] for line in shown.splitlines() if line.startswith("objectSid: "))
        self.tool("dsacl", "set", f"--objectdn={dn}", f"--sddl=({right};;{sid})")

    def let_see_deletions(self) -> None:
        """Make the account that reads an administrator: Samba tells no other account of deletions."""
        self.tool("group", "addmembers", "Administrators", "sipmesh")

    def keys_by_kerberos(self, **more: Any) -> Mapping[str, Any]:
        """Give them for a login by Kerberos with a keytab."""
        keys = {**self.keys(), "bind": "gssapi", "principal": ACCOUNT, "keytab": KEYTAB, **more}
        return {key: value for key, value in keys.items() if key != "password_file" and value is not None}

    def keys(self, **more: Any) -> Mapping[str, Any]:
        """Give the keys of ``directory`` for this domain, as the how-to has them; *more* replace some."""
        return {
            "kind": "active-directory",
            "servers": [{"name": HOST, "address": self.address}],
            "bind": READER,
            "password_file": "secrets/directory",
            "base": PEOPLE,
            "filter": "(&(objectCategory=person)(objectClass=user))",
            "group_base": GROUPS,
            **more,
        }


def _answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0
