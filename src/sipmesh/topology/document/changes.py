"""Changes of the topology file by commands, such as adding and blocking partners."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, Final

from sipmesh.database.masked import masked
from sipmesh.errors import LocalError, OperatorError, Problem
from sipmesh.topology.document import yaml_edit, yaml_tree
from sipmesh.topology.document.load import Loaded, load_text
from sipmesh.topology.document.names import split_port
from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_PARTNERS = ("federation", "partners")
_BLOCKED = ("federation", "blocked")
_BLOCKED_PARTNERS = ("federation", "blocked_partners")
PARTNER_FILES: Final = "partners"
"""The folder, beside the topology, for files of partners."""


def add_partner(text: str, partner: Mapping[str, object]) -> str:
    """Add *partner*, a mapping with the keys of `model.Partner`, at the end of the partners; only `crls` may be empty."""
    given = {key: value for key, value in partner.items() if key == "crls" or value not in (None, (), [])}
    return yaml_edit.append(text, _PARTNERS, given)


def block_partner(text: str, name: str, file: Path) -> str:
    """Block *name*. All names of a partner with this domain or edge are blocked, and its entry moves to `blocked_partners`.

    If no partner has the name, only the name is blocked. A name that is blocked already is not added again.
    """
    name = name.lower()
    wanted = [name]
    for n, partner in reversed(list(enumerate(_list(text, _PARTNERS, file)))):
        names = _names(partner)
        if name in names:
            wanted += [other for other in names if other not in wanted]
            text = yaml_edit.append(yaml_edit.remove(text, (*_PARTNERS, n)), _BLOCKED_PARTNERS, partner)
    blocked = {str(entry).lower() for entry in _list(text, _BLOCKED, file)}
    for entry in wanted:
        if entry not in blocked:
            text = yaml_edit.append(text, _BLOCKED, entry)
    return text


def unblock(text: str, name: str, file: Path) -> str:
    """Take *name* from the blocked names; an entry with it in `blocked_partners` is a partner again, with all its names.

    Raises `OperatorError` if it is not blocked.
    """
    blocked = [str(entry).lower() for entry in _list(text, _BLOCKED, file)]
    wanted = {name.lower()}
    if not wanted & set(blocked):
        remedy = did_you_mean(name.lower(), blocked, f"the draft blocks: {', '.join(blocked) or 'no name'}")
        reason = f"{name!r} is not a blocked name of the draft"
        raise OperatorError(reason, (Problem(file, 0, "federation.blocked", reason, remedy),))
    for n, partner in reversed(list(enumerate(_list(text, _BLOCKED_PARTNERS, file)))):
        if name.lower() in _names(partner):
            wanted |= set(_names(partner))
            text = yaml_edit.append(yaml_edit.remove(text, (*_BLOCKED_PARTNERS, n)), _PARTNERS, partner)
    for n in (n for n in reversed(range(len(blocked))) if blocked[n] in wanted):
        text = yaml_edit.remove(text, (*_BLOCKED, n))
    return text


def add_root(text: str, anchor: str, crls: tuple[str, ...], devices: tuple[str, ...] = ()) -> str:
    """Add a root certificate to our own authority, with the CRLs and the device issuing CA below it."""
    text = yaml_edit.append(text, ("authority", "anchors"), anchor)
    for name in crls:
        text = yaml_edit.append(text, ("authority", "crls"), name)
    for name in devices:
        text = yaml_edit.append(text, ("authority", "devices"), name)
    return text


def add_devices(text: str, devices: str, crl: str, file: Path) -> str:
    """Add a device issuing CA and its CRL to our own authority. Names that are there already stay."""
    for key, name in (("devices", devices), ("crls", crl)):
        if name not in _list(text, ("authority", key), file):
            text = yaml_edit.append(text, ("authority", key), name)
    return text


def remove_root(text: str, anchor: str, crls: tuple[str, ...], file: Path, devices: tuple[str, ...] = ()) -> str:
    """Remove a root certificate and CRLs from our own authority. Names that are not there are ignored."""
    for key, names in (("anchors", (anchor,)), ("crls", crls), ("devices", devices)):
        loc: yaml_tree.Loc = ("authority", key)
        for n, name in reversed(list(enumerate(_list(text, loc, file)))):
            if name in names:
                text = yaml_edit.remove(text, (*loc, n))
    return text


def move_management(text: str, address: str, file: Path) -> str:
    """Set the *address* of each management server, for listening and for connections of others."""
    for n, pool in enumerate(_list(text, ("pools",), file)):
        servers = pool.get("servers") if isinstance(pool, dict) and pool.get("role") == Role.MANAGEMENT else ()
        for server in servers if isinstance(servers, tuple) else ():
            mapping = dict(server) if isinstance(server, dict) else {"name": server}
            moved = {key: value for key, value in mapping.items() if key not in {"address", "bind"}} | {
                "address": address
            }
            text = yaml_edit.append(yaml_edit.remove(text, ("pools", n, "servers", 0)), ("pools", n, "servers"), moved)
    return text


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the text of a topology file: *loaded* is the new document, which has no problems."""

    file: Path
    before: str
    after: str
    loaded: Loaded

    @property
    def diff(self) -> tuple[str, ...]:
        """The lines that change, as a unified diff without passwords; empty if the text is the same."""
        lines = (masked(self.before).splitlines(), masked(self.after).splitlines())
        return tuple(unified_diff(*lines, self.file.name, self.file.name, n=2, lineterm=""))


def edit(file: Path, change: Callable[[str], str]) -> Loaded:
    """Apply *change* to the text of a topology file. The file is replaced only if the new document has no problems.

    Raises OperatorError with the problems of the new document, or if the YAML cannot be edited. The file is then unchanged.
    """
    return edit_text(file, change).loaded


def edit_text(file: Path, change: Callable[[str], str], *, dry_run: bool = False) -> Edit:
    """Apply *change* as `edit` does, and return the texts from before and after; with *dry_run* the file is not replaced.

    Commands that run at the same time wait for each other, so that no change is lost.
    """
    with _alone_in(file.parent):
        before = yaml_tree.read(file)
        try:
            after = change(before.decode()).encode()
        except UnicodeDecodeError:
            problem = Problem(file, 0, "", "is not UTF-8 text", "name the topology file: --topology FILE")
            raise OperatorError("the topology file is unchanged", (problem,)) from None
        except LocalError as wrong:
            remedy = "edit the file by hand, then run: sipmesh topology check"
            problem = Problem(file, 0, "", f"has a YAML form that sipmesh cannot edit ({wrong})", remedy)
            raise OperatorError("the topology file is unchanged", (problem,)) from None
        made = Edit(file, before.decode(), after.decode(), load_text(after, file))
        if after != before and not dry_run:
            _replace(file, after)
    return made


def must_be_compared(text: str, digest: str) -> None:
    """Raise `OperatorError` if *text* is not the draft with *digest*, which the operator has compared with what is in force."""
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise OperatorError("the draft has changed while it was compared; look at it, then do this again")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock for edits in *folder*: no file is made for it."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield  # reading the file says what is wrong
        return
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _replace(file: Path, content: bytes) -> None:
    """Replace *file* by *content* atomically and durably, with the same permissions."""
    beside = file.with_name(f".{file.name}.new")
    with beside.open("wb") as opened:
        os.fchmod(opened.fileno(), file.stat().st_mode & 0o777)
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # the name is durable too
    finally:
        os.close(folder)


def _list(text: str, loc: yaml_tree.Loc, file: Path) -> tuple[object, ...]:
    """Give the plain values of the list at *loc*; empty if there is no list."""
    root, _ = yaml_tree.parse(text.encode(), file)
    found = root.at(loc)
    plain = found.plain()
    return plain if found.path == loc and isinstance(plain, tuple) else ()


def _names(partner: object) -> list[str]:
    """Give the domains and the edge of a partner in lower case."""
    if not isinstance(partner, dict):
        return []
    domains = partner.get("domains") or ()
    names = [str(domain).lower() for domain in domains] if isinstance(domains, tuple) else []
    edge = partner.get("edge")
    return names + ([split_port(edge)[0].lower()] if isinstance(edge, str) else [])
