"""The URL of a store of registrations: ``valkey://`` or ``valkeys://`` (TLS), one or more addresses, a database number.

A password does not belong there: the topology is published to every server, and shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from sipmesh.sip.text import is_digits
from sipmesh.topology.document import file_kind
from sipmesh.topology.document.names import FileName, is_ip, is_url, split_port

PORT: Final = 6379
SENTINEL_PORT: Final = 26_379
MOST_ADDRESSES: Final = 9
HIGHEST_DATABASE: Final = 1_023
_FORM: Final = "write valkeys://HOST:PORT, or several addresses: valkeys://HOST1,HOST2/0"


@dataclass(frozen=True, slots=True)
class ValkeyUrl:
    """The *addresses* of a store in the order of use. A port is None if it is the default one."""

    tls: bool
    hosts: tuple[tuple[str, int | None], ...]
    database: int = 0

    def __str__(self) -> str:
        hosts = [f"[{host}]" if ":" in host else host for host, _ in self.hosts]
        ports = ["" if port is None else f":{port}" for _, port in self.hosts]
        database = f"/{self.database}" if self.database else ""
        return f"valkey{'s' * self.tls}://{','.join(map(''.join, zip(hosts, ports, strict=True)))}{database}"

    def addresses(self, default_port: int = PORT) -> tuple[tuple[str, int], ...]:
        """Give host and port of each address."""
        return tuple((host, port or default_port) for host, port in self.hosts)

    @property
    def is_on_this_machine(self) -> bool:
        """Whether every address is a loopback address."""
        return all(is_loopback(host) for host, _ in self.hosts)


def is_loopback(host: str) -> bool:
    """Tell whether *host* is a loopback address, or the name of one."""
    return host == "localhost" or (is_ip(host) and ip_address(host).is_loopback)


def valkey_url(text: str) -> ValkeyUrl:
    """Read a URL; raises `PydanticCustomError`, which never repeats what could be a password."""
    scheme, _, rest = text.partition("://")
    if scheme not in {"valkey", "valkeys"}:
        raise _refuse("is a URL of another scheme", f"name a file, or {_FORM}")
    if "@" in rest:
        raise _refuse(
            "has a user name or a password in the URL",
            "write `storage.valkey.user`, and name a file with the password in `storage.valkey.password_file`",
        )
    hosts, _, database = rest.partition("/")
    if not all(character.isalnum() or character in "-.:[],/" for character in rest) or not rest.isascii():
        raise _refuse("is not the URL of a store", _FORM)
    if database and not (is_digits(database) and int(database[:5]) <= HIGHEST_DATABASE):
        raise _refuse("has no number of a database after the slash", _FORM)
    found = tuple(split_port(host) for host in hosts.split(","))
    if not all(host for host, _ in found) or len(found) > MOST_ADDRESSES:
        raise _refuse(f"needs 1 to {MOST_ADDRESSES} addresses", _FORM)
    url = ValkeyUrl(scheme == "valkeys", found, int(database or 0))
    if not url.tls and not url.is_on_this_machine:
        raise _refuse("leaves this machine without TLS", "write valkeys://, or an address of this machine")
    return url


def file_or_store(text: str) -> str:
    """Check a file name, or the URL of a store; returns it."""
    return str(valkey_url(text)) if is_url(text) else text


def _refuse(reason: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("name", "{reason}", {"reason": reason, "remedy": remedy})


FileOrStore = Annotated[FileName, AfterValidator(file_or_store), file_kind.REGISTRATIONS]
"""A file name, or the URL of a store."""
