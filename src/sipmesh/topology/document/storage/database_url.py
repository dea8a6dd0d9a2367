"""The URL of a database: SQLite in a file of the organisation's folder, or PostgreSQL.

The topology is published to every server, and shown: a password does not belong there. What leaves the machine is TLS with a
name that is checked, under a root that the topology names (rule R1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Self
from urllib.parse import parse_qsl, quote

from sipmesh.database.masked import has_password
from sipmesh.errors import OperatorError
from sipmesh.topology.document import file_kind
from sipmesh.topology.document.file_kind import FileKind
from sipmesh.topology.document.storage.valkey_url import is_loopback

SQLITE: Final = "sqlite:///"
POSTGRESQL: Final = "postgresql+psycopg"
MOST_HOSTS: Final = 3
"""Hosts of a database that are tried in turn, each for some seconds."""
LONGEST_CONNECT_S: Final = 10

FORM: Final = "write postgresql+psycopg://USER@HOST/DATABASE?sslmode=verify-full&sslrootcert=anchors/FILE.pem"
FILES: Final[dict[str, FileKind]] = {
    "sslrootcert": file_kind.OUR_ANCHOR,
    "passfile": file_kind.SECRET,
    "sslcert": file_kind.HOST_CHAIN,
    "sslkey": file_kind.HOST_KEY,
}
"""The parameters that name files, each with its kind."""

_PARAMETERS: Final = frozenset(
    {*FILES, "host", "port", "sslmode", "connect_timeout", "application_name", "target_session_attrs", "options"}
)
# One reading for all who parse it: no fragment, one @, one host before the path, plain names of parameters, none without a value.
_PARAMETER = r"[a-z_]+=[^&;#\s]+"
_URL = re.compile(
    r"postgresql\+psycopg://(?:[^:/@?#\s\\]*(?::[^/@?#\s]*)?@)?"
    r"(?P<host>(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::[0-9]{1,5})?)(?:/[^/@?#\s]*)?"
    rf"(?:\?(?P<query>{_PARAMETER}(?:&{_PARAMETER})*))?"
)
_FILE_OF_DATABASE = re.compile(r"(?:state/)?[A-Za-z0-9_][A-Za-z0-9_.-]*\.db")


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A URL of PostgreSQL. *hosts* are those that libpq tries; an empty one is the socket of this machine."""

    url: str
    hosts: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, url: str) -> Self:
        """Read a URL; raises `ValueError` if it is none of PostgreSQL, or is written in a way that others read differently."""
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError("is no PostgreSQL database")
        parameters = tuple(parse_qsl(found["query"] or "", keep_blank_values=True))
        named = [host for key, value in parameters if key == "host" for host in value.split(",")]
        return cls(url, tuple(map(_without_port, named or [found["host"]])), parameters)

    @property
    def leaves_this_machine(self) -> bool:
        """Whether one of its hosts is neither a socket nor a loopback address."""
        return not all(not host or host.startswith(("/", "@")) or is_loopback(host) for host in self.hosts)

    @property
    def lacks_tls(self) -> bool:
        """Whether it leaves this machine without TLS, or by TLS without a checked name and a named root."""
        given = dict(self.parameters)
        named = given.get("sslrootcert", "system") != "system"
        return self.leaves_this_machine and not (named and given.get("sslmode") == "verify-full")

    def faults(self) -> Iterator[tuple[str, str]]:
        """Give what a topology must not have, each with a remedy; no text repeats what could be a password."""
        names = [key for key, _ in self.parameters]
        if has_password(self.url):
            remedy = "remove it, and name a file: passfile=secrets/FILE, in the form HOST:PORT:DATABASE:USER:PASSWORD"
            yield "contains a password, which each server would get", remedy
        unknown = sorted({key for key in names if key not in _PARAMETERS and not has_password(f"?{key}=x")})
        if unknown or len(names) != len(set(names)):
            what = f"has the parameter {unknown[0][:40]!r}" if unknown else "has a parameter twice"
            yield f"{what}, which is not known here", f"remove it; known are {', '.join(sorted(_PARAMETERS))}"
        if len(self.hosts) > MOST_HOSTS:
            yield f"has {len(self.hosts)} hosts", f"name at most {MOST_HOSTS}"
        given = dict(self.parameters)
        if not _is_short(given.get("connect_timeout", "5")):
            yield "has another connect_timeout", f"write a number of seconds from 2 to {LONGEST_CONNECT_S}"
        if self.lacks_tls:
            remedy = f"{FORM}, where the file has the root of its CA"
            yield "leaves this machine without TLS whose name is checked", remedy

    def in_folder(self, folder: Path) -> str:
        """Give the URL with the files that it names as they are below *folder*."""
        if not any(key in FILES for key, _ in self.parameters):
            return self.url
        parameters = ((key, str(folder / value) if key in FILES else value) for key, value in self.parameters)
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters)
        return f"{self.url.partition('?')[0]}?{query}"


def reached_by_tls(url: str, folder: Path) -> str:
    """Give a URL of PostgreSQL with the files that it names below *folder*; another URL as it is.

    Raises `OperatorError` if the database would be reached without TLS, and for a URL that cannot be read.
    """
    if not url.startswith(f"{POSTGRESQL}:"):
        return url
    try:
        database = DatabaseUrl.read(url)
    except ValueError:
        raise OperatorError(f"the URL of the database cannot be read; {FORM}") from None
    if database.lacks_tls:
        raise OperatorError(f"the database would be reached without TLS whose name is checked; {FORM}")
    return database.in_folder(folder.absolute())


def sqlite_fault(url: str) -> str:
    """Say why an SQLite URL names no file of ours, "" if it does."""
    name = url.removeprefix(SQLITE)
    if (
        not url.startswith(SQLITE)
        or not _FILE_OF_DATABASE.fullmatch(name)
        or PurePosixPath(name).name.startswith("management.")
    ):
        return "is no file for it"
    return ""


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]


def _is_short(text: str) -> bool:
    return text.isascii() and text.isdigit() and 2 <= int(text[:5]) <= LONGEST_CONNECT_S  # noqa: PLR2004 - the least of libpq
