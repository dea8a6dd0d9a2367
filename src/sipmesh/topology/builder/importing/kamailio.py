"""The configuration of a Kamailio: `tls.cfg`, and lists of the dispatcher module.

Each set of a dispatcher list becomes a front-end pool; each client profile of `tls.cfg` that names its peer becomes a partner.
"""

from __future__ import annotations

import configparser
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.foreign_errors import reason_of
from sipmesh.sip.uri import SipUri
from sipmesh.topology.builder.additions import NewPool, NewServer
from sipmesh.topology.builder.importing.imported import MOST_SERVERS, Imported
from sipmesh.topology.document.names import is_ip
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_SHOWN: Final = 80
LONGEST_REASON: Final = 300
"""Characters of what a file has, in an error."""

_TAKEN: Final = frozenset({"ca_list", "crl", "server_name", "verify_certificate", "require_certificate", "method"})


def read_dispatcher(content: bytes) -> Imported:
    """Read a dispatcher list: set, destination, flags, priority and attributes on each line. Raises `OperatorError`."""
    made, sets = Imported(), dict[str, list[NewServer]]()
    for number, words in _lines(content):
        what = f"line {number}"
        if len(words) < 2 or not words[0].lstrip("-").isdecimal():  # noqa: PLR2004 - the set and the destination
            made.leave(what, "it is not `SET DESTINATION`")
        elif (server := _destination(made, what, words[1])) is not None:
            sets.setdefault(words[0], []).append(server)
    if sum(map(len, sets.values())) > MOST_SERVERS:
        raise OperatorError(f"the list has more than {MOST_SERVERS} destinations")
    made.pools = [NewPool(Role.FRONT_END, f"set{number}", servers) for number, servers in sets.items()]
    return made


def _lines(content: bytes) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            yield number, words


def _destination(made: Imported, what: str, text: str) -> NewServer | None:
    try:
        uri = SipUri.parse(text)
    except SipmeshError:
        made.leave(what, f"{text!r} is not a SIP URI")
        return None
    if is_ip(uri.host):
        made.leave(what, f"{uri.host} is an IP address, which proves no identity; give the server a name")
        return None
    if not (uri.scheme == "sips" or (uri.param("transport") or "").lower() == "tls"):
        made.leave(what, f"{uri.host} is reached without TLS; it is taken, and will be reached by mutual TLS only")
    if uri.port is not None:
        made.leave(f"port {uri.port} of {uri.host}", "servers of ours have port 5062; see: sipmesh topology change")
    return NewServer(uri.host.lower())


def read_tls(content: bytes) -> Imported:
    """Read `tls.cfg`; raises `OperatorError` if it is no such file."""
    parser = configparser.ConfigParser(
        strict=False,
        interpolation=None,
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        inline_comment_prefixes=("#",),
        allow_no_value=True,  # the parser adds each line without a value to one error: its time grows with their square
    )
    try:
        parser.read_string(content.decode("utf-8", "replace"))
    except configparser.Error as wrong:
        raise _no_tls_file(reason_of(wrong)) from None
    made = Imported()
    for section in parser.sections():
        if (key := next((key for key, value in parser[section].items() if value is None), None)) is not None:
            raise _no_tls_file(f"the line {key[:LONGEST_SHOWN]!r} of [{section[:LONGEST_SHOWN]}] has no value")
        _read_profile(made, section, {key: value.strip().strip('"') for key, value in parser[section].items()})
    return made


def _no_tls_file(why: str) -> OperatorError:
    return OperatorError(f"this is not a tls.cfg of Kamailio ({why[:LONGEST_REASON]})")


def _read_profile(made: Imported, section: str, profile: dict[str, str]) -> None:
    if section.lower().startswith("server"):
        made.leave(f"[{section}]", "certificates of our servers come from our own CA: sipmesh ca issue")
        return
    name = profile.get("server_name", "").lower()
    if not name:
        made.leave(f"[{section}]", "without server_name it does not say who the peer is")
        return
    if profile.get("verify_certificate", "").lower() not in {"yes", "1", "on", "true"}:
        made.leave(f"verify_certificate of [{section}]", "every certificate is verified here")
    if not profile.get("ca_list") or not profile.get("crl"):
        lacking = "ca_list" if not profile.get("ca_list") else "crl"
        made.leave(
            f"[{section}] ({name})", f"it has no {lacking}; to add it: sipmesh partner add {name} --ca FILE --crl FILE"
        )
        return
    for key in sorted(set(profile) - _TAKEN):
        made.leave(f"{key} of [{section}]", "it has no counterpart")
    made.partners.append({"domains": [name], "edge": name, "anchors": [profile["ca_list"]], "crls": [profile["crl"]]})
