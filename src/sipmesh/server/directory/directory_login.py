"""The login at the directory: at the first of its servers that can be used, with a certificate that can be checked."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.errors import OperatorError
from sipmesh.server.directory.kerberos_login import KerberosLogin
from sipmesh.server.directory.ldap_session import LdapSession, Login, PasswordLogin
from sipmesh.server.directory.tunnel import ServerPlace, UnusableServerError, directory_context, open_tls
from sipmesh.storage.keyfile import read_password
from sipmesh.topology.document.named_files.read import read_or_refuse
from sipmesh.topology.document.names import split_port
from sipmesh.topology.document.parts.directory import Directory, DirectoryTls

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded

PORTS: Final = {DirectoryTls.LDAPS: 636, DirectoryTls.STARTTLS: 389}
LARGEST_FILE: Final = 16 << 20


def directory_of(loaded: Loaded) -> Directory:
    """Return the directory of the topology; raises `OperatorError` if it has none."""
    directory = loaded.topology.directory
    if directory is None:
        remedy = "add `directory` to the topology, and publish it"
        raise OperatorError(f"the topology names no directory; {remedy}")
    return directory


@contextmanager
def logged_in(loaded: Loaded, directory: Directory) -> Iterator[tuple[LdapSession, str]]:
    """Log in at the first server that can be used."""
    context, faults = _context(loaded, directory), []
    login = _login(loaded, directory)
    for named in directory.servers:
        host, port = split_port(named.name)
        server = ServerPlace(host, port or PORTS[directory.tls], directory.tls, named.address or host)
        try:
            secured = open_tls(server, context, loaded.topology.server_names)
            session = LdapSession(server, secured, login)
        except UnusableServerError as wrong:
            faults.append(str(wrong))
            continue
        try:
            yield session, str(server)
        finally:
            session.close()
        return
    raise UnusableServerError(
        f"no server of the directory can be used: {'; '.join(faults)}. Mend one of them, or name others in `directory.servers`"
    )


def _login(loaded: Loaded, directory: Directory) -> Login:
    if directory.password_file is not None:
        return PasswordLogin(directory.bind, read_password(loaded.folder / directory.password_file, loaded.folder))
    keytab, tickets = (
        loaded.folder / file if file is not None else None for file in (directory.keytab, directory.tickets)
    )
    return KerberosLogin(directory.principal or "", keytab, tickets)


def _context(loaded: Loaded, directory: Directory) -> ssl.SSLContext:
    """Make the context for servers whose certificates the named CAs have issued, or else the enterprise CA."""
    if not directory.anchors:
        ours = [one.name for one in loaded.list_files[0].files if one.file.exists()]
        return directory_context(loaded.authority.anchors, [_crl(loaded, file) for file in ours])
    anchors = [one for file in directory.anchors for one in _anchors(loaded, file)]
    return directory_context(anchors, [_crl(loaded, file) for file in directory.crls])


def _anchors(loaded: Loaded, file: str) -> Sequence[x509.Certificate]:
    content = _content(loaded, file)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as wrong:
        raise OperatorError(
            f"{file} has no certificates in PEM; name root certificates in `directory.anchors`"
        ) from wrong


def _crl(loaded: Loaded, file: str) -> x509.CertificateRevocationList:
    content = _content(loaded, file)
    try:
        return x509.load_pem_x509_crl(content) if b"-----BEGIN" in content else x509.load_der_x509_crl(content)
    except ValueError as wrong:
        raise OperatorError(
            f"{file} is no CRL; name the CRLs of the CAs of the directory in `directory.crls`"
        ) from wrong


def _content(loaded: Loaded, file: str) -> bytes:
    refusal, remedy = f"{file} of the directory cannot be used", "put the file there on the management server"
    return read_or_refuse(loaded.folder / file, LARGEST_FILE, refusal, remedy)
