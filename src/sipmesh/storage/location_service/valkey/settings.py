"""What a server needs to reach the store of its pool: addresses, login, TLS, and the names of the pool."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sipmesh.errors import OperatorError, Problem
from sipmesh.storage.keyfile import read_password
from sipmesh.topology.document.storage.valkey_url import ValkeyUrl

PASSWORD_VARIABLE: Final = "SIPMESH_VALKEY_PASSWORD"  # noqa: S105 - a name
"""The variable of the environment that has the password if the topology names no file."""

TLS_REMEDY: Final = "put the file on this machine, or allow the user of sipmesh to read it"


@dataclass(frozen=True, slots=True)
class ValkeySettings:
    """The store of *pool*, whose front ends are *servers*; *sentinel* is the name that Sentinels have for the primary.

    *pool_key* is the key that all servers of the pool have, and the store does not. *processes* is the number of workers of
    this server, 0 without. *folder* is that of the organisation. *user* is the ACL user; with none, and without a password, there
    is no login. All files are read at each connection.
    """

    url: ValkeyUrl
    organisation: str
    pool: str
    servers: frozenset[str]
    pool_key: bytes = field(repr=False)
    processes: int = 0
    user: str | None = None
    folder: Path = Path()
    password_file: Path | None = None
    anchors: tuple[Path, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    sentinel: str | None = None

    def login(self) -> tuple[str, str] | None:
        """Give user and password; None for a store without a login. Raises `OperatorError` if the file cannot be read."""
        password = os.environ.get(PASSWORD_VARIABLE, "")
        if self.password_file is not None:
            password = read_password(self.password_file, self.folder)
        if not password:
            if self.user is None:
                return None
            raise OperatorError(f"no password for {self.url}: name `password_file`, or set {PASSWORD_VARIABLE}")
        return self.user or "default", password

    def tls(self) -> ssl.SSLContext | None:
        """Make the TLS context; None for a URL without TLS. Raises `OperatorError` if a file cannot be used."""
        if not self.url.tls:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        for file in self.anchors:
            with self._usable(file):
                context.load_verify_locations(file)
        if self.certificate is not None:
            with self._usable(self.certificate, *([self.key] if self.key else [])):
                context.load_cert_chain(self.certificate, self.key, password=_no_passphrase)
        return context

    @contextmanager
    def _usable(self, *files: Path) -> Iterator[None]:
        """Translate what goes wrong with *files* in the block to an `OperatorError` that names one of them."""
        try:
            yield
        except (OSError, OperatorError) as wrong:
            unreadable = next((file for file in files if not os.access(file, os.R_OK)), None)
            remedy = TLS_REMEDY if unreadable else "write the right PEM file"
            told = wrong.message if isinstance(wrong, OperatorError) else wrong.strerror or str(wrong)
            problem = Problem(unreadable or files[-1], 0, "", f"cannot be used: {told}", remedy)
            raise OperatorError(f"a TLS file for {self.url} cannot be used", (problem,)) from wrong


def _no_passphrase() -> str:
    """Refuse an encrypted key: OpenSSL would ask the terminal."""
    raise OperatorError("the key is encrypted; name a key without a passphrase")
