"""The kinds of files that a topology may name, and the folders of the organisation's folder in which each kind lives.

A key of the document names a file of one kind. What no kind has a folder for (``ca/`` with its keys and its ledger, ``state/``,
``management.*``, ``users.*``) can be named by no key. So a change of the topology never makes a server send, replace or use a
file that is something else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

SERVERS: Final = "servers"
RESERVED: Final = ("ca/*", "state/*", "servers/*", "partners/*", "anchors/*", "management.*", "users.*", "topology.*")
"""What is never a secret of the topology, as paths below the organisation's folder."""

_KEPT: Final = (
    *("ca/*.key", "ca/*.crl", "ca/*root.pem", "ca/*issuing.pem", "ca/*devices.pem", "ca/ledger*"),
    *("state/*", "management.*", "users.*", "*.signer.*"),
)

_CERTIFICATES: Final = (".pem", ".crt", ".cer")


@dataclass(frozen=True, slots=True)
class FileKind:
    """One kind: what it is, the *folders* that have such files, and the ends of their names; no *suffixes* stand for all others.

    *of_our_ca* are the files of the enterprise CA that are public. *on_host* tells that a file may also be elsewhere on the
    machine of its server, by an absolute path: such files are never sent or replaced. *or_url*: keys of this kind may have a URL
    instead, which names no file.
    """

    what: str
    folders: tuple[str, ...]
    suffixes: tuple[str, ...] = ()
    of_our_ca: tuple[str, ...] = ()
    on_host: bool = False
    or_url: bool = False

    @property
    def home(self) -> str:
        """Where such a file lives, for the operator."""
        ours = [f"{pattern} of our CA" for pattern in self.of_our_ca[:1]]
        ends = f", with a name that ends in {' or '.join(self.suffixes)}" if self.suffixes else ""
        return " or ".join([*(f"{folder}/" for folder in self.folders), *ours]) + ends

    def has(self, path: PurePosixPath) -> bool:
        """Tell whether *path*, below the organisation's folder, is a place for such a file."""
        name = path.as_posix()
        if any(fnmatchcase(name, pattern) for pattern in self.of_our_ca):
            return True
        return path.parts[0] in self.folders and len(path.parts) > 1 and self._ends_well(path)

    def _ends_well(self, path: PurePosixPath) -> bool:
        return path.suffix in self.suffixes if self.suffixes else path.suffix not in _OF_OTHER_KINDS


_OF_OTHER_KINDS: Final = frozenset({*_CERTIFICATES, ".der", ".key", ".crl", ".json", ".db", ".p12", ".pfx"})
_CHAINS, _KEYS = ("certificate chain", (SERVERS,), _CERTIFICATES), ("private key", (SERVERS,), (".key",))

CHAIN: Final = FileKind(*_CHAINS)
KEY: Final = FileKind(*_KEYS)
HOST_CHAIN: Final = FileKind(*_CHAINS, on_host=True)
HOST_KEY: Final = FileKind("private key", (SERVERS,), (".key", ".pem"), on_host=True)
ANCHOR: Final = FileKind("trust anchor", ("partners", "anchors"), (*_CERTIFICATES, ".der"))
CRL: Final = FileKind("CRL", ("partners", "anchors"), (".crl", ".pem"), or_url=True)
CRL_ON_DISK: Final = FileKind(CRL.what, CRL.folders, CRL.suffixes)
OUR_ANCHOR: Final = FileKind(ANCHOR.what, ANCHOR.folders, ANCHOR.suffixes, ("ca/root.pem", "ca/[0-9]*/root.pem"))
OUR_DEVICES: Final = FileKind(
    "certificate of a device issuing CA", ("anchors",), _CERTIFICATES, ("ca/devices.pem", "ca/[0-9]*/devices.pem")
)
OUR_CRL: Final = FileKind(CRL.what, CRL.folders, CRL.suffixes, ("ca/*.crl",), or_url=True)
SECRET: Final = FileKind("secret", ("secrets",))
REGISTRATIONS: Final = FileKind("file of registrations", ("state",), (".db",), or_url=True)


@dataclass(frozen=True, slots=True)
class NamePlace:
    """The organisation's *folder* in which names of files are judged, and the names of all *servers* of the topology."""

    folder: Path
    servers: Collection[str]

    def fault(self, name: str, kind: FileKind, server: str = "") -> str:
        """Say why *name* is no place for a file of *kind*, "" if it is; *server* is the one whose file it is, if it is of one."""
        path = PurePosixPath(name)
        if path.is_absolute():
            return self._fault_elsewhere(path, kind)
        if ".." in path.parts or name != path.as_posix():
            return "is not a plain path below the organisation's folder"
        if not path.parts or not kind.has(path):
            return f"is no place for a {kind.what}"
        if fault := self._of_another(path, server):
            return fault
        root, found = _real(self.folder), _real(self.folder / path)
        if found.is_relative_to(root):
            led = PurePosixPath(found.relative_to(root).as_posix())
            if led != path and (not led.parts or not kind.has(led) or self._of_another(led, server)):
                return f"is a link to {led}, which is no place for a {kind.what}"
        return ""

    def _fault_elsewhere(self, path: PurePosixPath, kind: FileKind) -> str:
        if not kind.on_host:
            return "is an absolute path"
        if ".." in path.parts or path.suffix not in kind.suffixes:
            return f"is no place for a {kind.what}"
        folder = _real(self.folder)
        inside = Path(path).is_relative_to(self.folder.absolute()) or _real(Path(path)).is_relative_to(folder)
        return "is an absolute path into the organisation's folder" if inside else ""

    def _of_another(self, path: PurePosixPath, server: str) -> str:
        """Say whose file a path in ``servers/`` is, if it is of another server, or the key that signs versions.

        That key stays where it is after its management server has left the topology.
        """
        if path.parts[0] != SERVERS:
            return ""
        name = path.name.lower()
        owner = max((one for one in self.servers if name.startswith(f"{one}.")), key=len, default="")
        if owner and owner != server:
            return f"is a file of {owner}"
        return "is what a management server signs versions with" if ".signer." in name else ""

    def remedy(self, name: str, kind: FileKind, server: str = "") -> str:
        """Say where such a file lives, with the command that moves it there if it may be moved."""
        path = PurePosixPath(name)
        better = PurePosixPath(kind.folders[0], path.name)
        if ".." in path.parts or not kind.has(better) or self._is_kept(path) or self.fault(str(better), kind, server):
            return f"name a file in {kind.home}"
        verb = "cp" if path.is_absolute() else "mv"
        return (
            f"on each server that has it: {verb} {self.folder / path} {self.folder / better}; then write {better} here"
        )

    def _is_kept(self, path: PurePosixPath) -> bool:
        """Tell whether a file is one of ours that stays where it is."""
        root, found = _real(self.folder), _real(self.folder / path)
        led = found.relative_to(root).as_posix() if found.is_relative_to(root) else ""
        return any(fnmatchcase(led, pattern) for pattern in _KEPT)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # unlike `Path.resolve`, it raises nothing for links in a circle


def is_reserved(file: Path, folder: Path) -> bool:
    """Tell whether *file* leads to what is never a secret of the topology in the organisation's *folder*."""
    root, found = _real(folder), _real(file)
    led = found.relative_to(root).as_posix() if found.is_relative_to(root) else ""
    return any(fnmatchcase(led, pattern) for pattern in RESERVED)
