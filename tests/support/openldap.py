"""A real OpenLDAP server, in a folder of its own, on ports of its own, over TLS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import ldap
import ldap.modlist

from sipmesh.demo.ports import free_port
from sipmesh.server.process.fork_server import die_with_parent
from support.directory_ca import HOST
from support.running import LOOK_AGAIN_S

if TYPE_CHECKING:
    from sipmesh.demo.forge import Forged

START_S = 20.0
SUFFIX = "dc=corp,dc=test"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"
ADMIN, READER, PASSWORD = f"cn=admin,{SUFFIX}", f"cn=sipmesh,{SUFFIX}", "correct horse"

SYNCPROV = "overlay syncprov\nsyncprov-sessionlog 1000"

CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
moduleload ppolicy
pidfile {folder}/pid
TLSCertificateFile {chain}
TLSCertificateKeyFile {key}
TLSProtocolMin 3.3
sizelimit {limit}
database mdb
suffix {suffix}
rootdn {admin}
rootpw "{password}"
directory {folder}/data
maxsize 1073741824
dbnosync
index objectClass,entryUUID,entryCSN,uid,member eq
overlay ppolicy
{overlay}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
limits dn.exact="{reader}" size={limit} size.prtotal={total}
"""


class LdapAdministrator:
    """Changes the entries of a server over its *socket*, as its administrator."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    @contextmanager
    def administrator(self) -> Iterator[Any]:
        """A connection that may change everything."""
        connection = ldap.initialize(self.socket)
        connection.simple_bind_s(ADMIN, PASSWORD)
        try:
            yield connection
        finally:
            connection.unbind_s()

    def person(self, uid: str, /, **given: Any) -> str:
        """Add a person, and give the DN; *given* are more attributes."""
        dn = f"uid={uid},{PEOPLE}"
        values = {"uid": uid, "cn": uid, "sn": uid, "displayName": uid.title(), **given}
        with self.administrator() as admin:
            add(admin, dn, objectClass="inetOrgPerson", **values)
        return dn

    def group(self, name: str, *members: str) -> str:
        """Add a group, and give the DN."""
        dn = f"cn={name},{GROUPS}"
        with self.administrator() as admin:
            add(admin, dn, objectClass="groupOfNames", cn=name, member=list(members))
        return dn

    def change(self, dn: str, /, **given: Any) -> None:
        """Replace attributes of an entry; None removes one."""
        with self.administrator() as admin:
            admin.modify_s(dn, [(ldap.MOD_REPLACE, name, _values(value)) for name, value in given.items()])

    def rename(self, dn: str, uid: str) -> str:
        """Give a person another uid; gives the new DN."""
        with self.administrator() as admin:
            admin.rename_s(dn, f"uid={uid}", delold=1)
        return f"uid={uid},{PEOPLE}"

    def move(self, dn: str, superior: str) -> None:
        """Move an entry below another one."""
        with self.administrator() as admin:
            admin.rename_s(dn, dn.partition(",")[0], newsuperior=superior)

    def delete(self, dn: str) -> None:
        """Delete an entry."""
        with self.administrator() as admin:
            admin.delete_s(dn)


class OpenLdap(LdapAdministrator):
    """One server with *certificate*; entries are changed by the administrator, over its socket."""

    def __init__(
        self,
        folder: Path,
        certificate: Forged,
        *,
        total: str = "unlimited",
        limit: str = "unlimited",
        overlay: str = SYNCPROV,
    ) -> None:
        super().__init__(f"ldapi://{str(folder / 'ldapi').replace('/', '%2F')}")
        self.folder, self.ldaps, self.port = folder, free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        chain, key = certificate.write(folder, "server")
        given = {"folder": folder, "chain": chain, "key": key, "suffix": SUFFIX, "admin": ADMIN, "reader": READER}
        text = CONFIGURATION.format(**given, password=PASSWORD, total=total, limit=limit, overlay=overlay)
        (folder / "slapd.conf").write_text(text)

    def __repr__(self) -> str:
        return f"<OpenLdap on {self.ldaps}, {'up' if self._process else 'down'}>"

    def __enter__(self) -> Self:
        self.start()
        with self.administrator() as admin:
            add(admin, SUFFIX, objectClass=["dcObject", "organization"], o="Corp", dc="corp")
            for unit in (PEOPLE, GROUPS):
                add(admin, unit, objectClass="organizationalUnit", ou=unit[3:].partition(",")[0])
            add(
                admin,
                READER,
                objectClass=["organizationalRole", "simpleSecurityObject"],
                cn="sipmesh",
                userPassword=PASSWORD,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        urls = f"ldaps://127.0.0.1:{self.ldaps}/ ldap://127.0.0.1:{self.port}/ {self.socket}"
        program = shutil.which("slapd") or "/usr/sbin/slapd"
        command = [program, "-d", "0", "-f", str(self.folder / "slapd.conf"), "-h", urls]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)  # noqa: PLW1509
        ends = time.monotonic() + START_S
        while time.monotonic() < ends:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.ldaps)) == 0:
                    return
            time.sleep(LOOK_AGAIN_S)
        raise TimeoutError((self.folder / "log").read_text())

    def stop(self) -> None:
        """End it; it keeps its entries."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def keys(self, **more: Any) -> dict[str, Any]:
        """Give the keys of ``directory`` for this server; *more* replace some."""
        return {
            "kind": "openldap",
            "servers": [{"name": f"{HOST}:{self.ldaps}", "address": "127.0.0.1"}],
            "bind": READER,
            "password_file": "secrets/directory",
            "base": PEOPLE,
            "group_base": GROUPS,
            **more,
        }


def write_password(folder: Path, password: str = PASSWORD) -> None:
    """Write the file with the password of the reader below *folder*."""
    file = folder / "secrets" / "directory"
    file.parent.mkdir(exist_ok=True)
    file.touch(0o600)
    file.write_text(password)


def add(connection: Any, dn: str, **given: Any) -> None:
    """Add an entry."""
    connection.add_s(dn, ldap.modlist.addModlist({name: _values(value) for name, value in given.items()}))


def _values(value: str | bytes | Sequence[str] | Mapping[str, str] | None) -> list[bytes] | None:
    if value is None:
        return None
    values = [value] if isinstance(value, str | bytes) else list(value)
    return [one if isinstance(one, bytes) else one.encode() for one in values]
