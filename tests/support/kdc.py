"""A real Kerberos realm: the KDC of MIT, in a folder of its own, on a port of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from sipmesh.demo.ports import free_port
from sipmesh.server.process.fork_server import die_with_parent
from support.running import LOOK_AGAIN_S

REALM = "CORP.TEST"
PASSWORD = "correct horse"
START_S = 20.0

CONFIGURATION = """
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
[realms]
{realm} = {{
kdc = 127.0.0.1:{port}
}}
[dbmodules]
{realm} = {{
db_library = db2
database_name = {folder}/principal
}}
"""
KDC = """
[kdcdefaults]
kdc_listen = ""
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
database_name = {folder}/principal
key_stash_file = {folder}/stash
acl_file = {folder}/acl
max_life = 1d
supported_enctypes = aes256-cts-hmac-sha1-96:normal
}}
"""


class Kdc:
    """The KDC of *realm*."""

    def __init__(self, folder: Path, realm: str = REALM) -> None:
        self.folder, self.realm, self.port = folder, realm, free_port()
        folder.mkdir(parents=True)
        given = {"folder": folder, "realm": realm, "port": self.port}
        (folder / "krb5.conf").write_text(CONFIGURATION.format(**given))
        (folder / "kdc.conf").write_text(KDC.format(**given))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What programs of this realm need."""
        return {
            **os.environ,
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
        }

    def __enter__(self) -> Self:
        self._run("kdb5_util", "create", "-s", "-r", self.realm, "-P", PASSWORD)
        command = [_program("krb5kdc"), "-n", "-r", self.realm]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self.environment,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
        ends = time.monotonic() + START_S
        while time.monotonic() < ends:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(LOOK_AGAIN_S)
        raise TimeoutError((self.folder / "log").read_text())

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def service(self, name: str, keytab: Path) -> Path:
        """Add the principal of a service, and write its *keytab*, mode 0600."""
        self._admin(f"addprinc -randkey {name}", f"ktadd -k {keytab} {name}")
        keytab.chmod(0o600)
        return keytab

    def add_to(self, name: str, keytab: Path) -> None:
        """Add the key of a service to a keytab."""
        self._admin(f"ktadd -k {keytab} {name}")

    def person(self, name: str) -> None:
        """Add the principal of a person."""
        self._admin(f'addprinc -pw "{PASSWORD}" {name}')

    def ticket(self, name: str, cache: Path, *options: str) -> Mapping[str, str]:
        """Log in, and give the environment with the ticket in *cache*."""
        environment = {**self.environment, "KRB5CCNAME": f"FILE:{cache}"}
        command = (_program("kinit"), *options, f"{name}@{self.realm}")
        subprocess.run(command, input=f"{PASSWORD}\n".encode(), env=environment, check=True, capture_output=True)
        return environment

    def _admin(self, *lines: str) -> None:
        for line in lines:
            self._run("kadmin.local", "-r", self.realm, "-q", line)

    def _run(self, *command: str) -> None:
        whole = (_program(command[0]), *command[1:])
        done = subprocess.run(whole, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _program(name: str) -> str:
    return shutil.which(name) or f"/usr/sbin/{name}"
