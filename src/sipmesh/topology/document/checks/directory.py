"""The directory: who reads it, how its servers prove themselves, and where its groups lead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.names import split_port
from sipmesh.topology.document.parts.directory import GSSAPI
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.parts.directory import Directory, GroupPool
    from sipmesh.topology.document.parts.scim import ScimGroupPool
    from sipmesh.topology.document.report import ProblemReport


def directory_can_be_read(document: CheckedDocument) -> None:
    """Management reads it, from servers that are none of ours, whose certificates can be checked against CRLs."""
    directory, report = document.topology.directory, document.report
    if directory is None:
        return
    if not any(pool.role is Role.MANAGEMENT for pool in document.topology.pools):
        remedy = "add a pool of role management, or remove `directory`"
        report.add(("directory",), "needs a management server, and there is none", remedy)
    for n, server in enumerate(directory.servers):
        if split_port(server.name)[0] in document.topology.server_names:
            remedy = "give the server of the directory a name of its own: the key of a SIP server must not prove it"
            report.add(("directory", "servers", n), f"{server} is a server of the topology", remedy)
    _login_is_whole(directory, report)
    if directory.anchors and not directory.crls:
        remedy = (
            "name the files of the CRLs of these CAs, or remove `anchors` if the enterprise CA issues for the directory"
        )
        report.add(("directory", "anchors"), "stands without `crls`", remedy)
    if directory.crls and not directory.anchors:
        remedy = "name the roots of these CRLs in `anchors`, or remove `crls`: the CRLs of the enterprise CA are known"
        report.add(("directory", "crls"), "stands without `anchors`", remedy)


def _login_is_whole(directory: Directory, report: ProblemReport) -> None:
    """A password is for a name, and a principal with one file of its keys or tickets is for Kerberos."""
    by_kerberos = directory.bind == GSSAPI
    for key in ("password_file", "principal", "keytab", "tickets"):
        is_for_kerberos = key != "password_file"
        if getattr(directory, key) is not None and is_for_kerberos != by_kerberos:
            remedy = "remove it, or write `bind: gssapi`" if is_for_kerberos else "remove it: Kerberos needs a keytab"
            report.add(("directory", key), f"stands beside `bind: {directory.bind}`", remedy)
    if not by_kerberos:
        if directory.password_file is None:
            remedy = "name the file with its password, or write `bind: gssapi` with a `principal` and a `keytab`"
            report.add(("directory", "bind"), "stands without `password_file`", remedy)
        return
    if directory.principal is None:
        remedy = "name the account with its realm, such as `principal: sipmesh@CORP.EXAMPLE.COM`"
        report.add(("directory", "bind"), "is gssapi without `principal`", remedy)
    if (directory.keytab is None) == (directory.tickets is None):
        remedy = "name one of both: a `keytab`, or `tickets` which another program renews"
        report.add(("directory", "bind"), "is gssapi, and needs `keytab` or `tickets`", remedy)


def scim_clients_write_alone(document: CheckedDocument) -> None:
    """SCIM needs the port of the console. Users come from one place, and a token is for one purpose."""
    scim, console, report = document.topology.scim, document.topology.console, document.report
    if scim is None:
        return
    if console is None:
        report.add(
            ("scim",), "needs the HTTPS port of management", "add `console: {listen: 0.0.0.0:8444}`, or remove `scim`"
        )
    if document.topology.directory is not None:
        report.add(("scim",), "stands beside `directory`", "keep one of both: users come from one place")
    of_operators = {one.token_sha256: one.name for one in console.operators} if console is not None else {}
    first: dict[str, int] = {}
    for n, token in enumerate(scim.tokens):
        if token.token_sha256 in of_operators:
            reason = f"is that of the operator {of_operators[token.token_sha256]}"
            report.add(("scim", "tokens", n, "token_sha256"), reason, "make a token: sipmesh directory token NAME")
        for value in (token.name, token.token_sha256):
            if first.setdefault(value, n) != n:
                reason = f"has a name or a token of {document.place(('scim', 'tokens', first[value]))}"
                report.add(("scim", "tokens", n), reason, "give each client a name and a token")


def groups_give_classes(document: CheckedDocument) -> None:
    """A class that groups give needs what has groups."""
    if document.topology.directory is not None or document.topology.scim is not None:
        return
    for n, one in enumerate(document.topology.numbers.classes):
        if one.groups:
            remedy = "add `directory` or `scim`, or remove the groups"
            document.report.add(("numbers", "classes", n, "groups"), "names groups, and there is no directory", remedy)


def groups_lead_to_front_ends(document: CheckedDocument) -> None:
    """The pool of each group is a front-end pool."""
    known = tuple(pool.name for pool in document.topology.pools if pool.role is Role.FRONT_END)
    directory, scim = document.topology.directory, document.topology.scim
    sources: tuple[tuple[str, Sequence[GroupPool | ScimGroupPool]], ...] = (
        ("directory", directory.pools if directory is not None else ()),
        ("scim", scim.pools if scim is not None else ()),
    )
    for key, rules in sources:
        for n, rule in enumerate(rules):
            if rule.pool not in known:
                remedy = f"write one of: {tell_list(known)}"
                document.report.add((key, "pools", n, "pool"), f"{rule.pool} is no front-end pool", remedy)
