"""Management: one pool with its database, its console and the operators who approve."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from sipmesh.topology.document.names import split_port
from sipmesh.topology.document.operators.sshsig import PublicKey, UnusableKeyError
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.parts.approvals import Approvals
    from sipmesh.topology.document.yaml_tree import Loc


def management_is_one_pool(document: CheckedDocument) -> None:
    """There is one management pool. Several servers need a database that they share: it says which of them leads."""
    storage = document.topology.storage
    shared = is_postgresql(storage.management) and is_postgresql(storage.users)
    found = [(loc, pool) for loc, pool in document.pools() if pool.role is Role.MANAGEMENT]
    for loc, pool in found:
        if len(pool.servers) > 1 and not shared:
            remedy = "keep one, or name PostgreSQL databases in `storage.management` and `storage.users`"
            document.report.add((*loc, "servers"), "several management servers need a database that they share", remedy)
        if len(pool.servers) > 1 and document.topology.call_records is not None and not is_postgresql(storage.calls):
            reason = "the records of calls are in a file of one host, and several management servers share them"
            remedy = "name a PostgreSQL database in `storage.calls`, such as that of `storage.management`"
            document.report.add(("storage", "calls"), reason, remedy)
    for loc, pool in found[1:]:
        document.report.add(loc, f"{found[0][1].name} is management already", f"remove {pool.name}")


def management_database_is_public(document: CheckedDocument) -> None:
    """The database that management servers share is PostgreSQL."""
    url, loc = document.topology.storage.management, ("storage", "management")
    if url is None:
        return
    if not is_postgresql(url):
        document.report.add(loc, "is no PostgreSQL database", "write it as postgresql+psycopg://USER@HOST/DATABASE")


def is_postgresql(url: str | None) -> bool:
    """Tell whether a database URL names a PostgreSQL server."""
    return url is not None and url.startswith("postgresql+psycopg://")


def console_has_a_management_server(document: CheckedDocument) -> None:
    """The management server serves the console; each operator has another name and another token."""
    console = document.topology.console
    if console is None:
        return
    if not any(pool.role is Role.MANAGEMENT for pool in document.topology.pools):
        remedy = "add a pool of role management, or remove `console`"
        document.report.add(("console",), "needs a management server, and there is none", remedy)
    for key in ("name", "token_sha256"):
        first: dict[str, int] = {}
        for n, operator in enumerate(console.operators):
            value = getattr(operator, key)
            if value is not None and first.setdefault(value, n) != n:
                reason = f"is that of {document.place(('console', 'operators', first[value]))} too"
                document.report.add(("console", "operators", n, key), reason, "give each operator a name and a token")


def lists_are_published_by_management(document: CheckedDocument) -> None:
    """The CA is on the management servers: another server has nothing to publish."""
    for n, pool in enumerate(document.topology.pools):
        for m, server in enumerate(pool.servers if pool.role is not Role.MANAGEMENT else ()):
            if server.publish_lists is not None:
                place = ("pools", n, "servers", m, "publish_lists")
                document.report.add(place, "is for a management server", "move it to a server of role management")


def metrics_over_tls_have_readers(document: CheckedDocument) -> None:
    """A port with TLS is for operators. Without an operator, each request would get 401."""
    console = document.topology.console
    for n, pool in enumerate(document.topology.pools):
        for m, server in enumerate(pool.servers):
            place = ("pools", n, "servers", m, "metrics_tls")
            if server.metrics_tls and server.metrics is None:
                document.report.add(place, "needs a port", "add `metrics`, or remove `metrics_tls`")
            elif server.metrics_tls and (console is None or not console.operators):
                remedy = "add an operator with the role viewer and a token: sipmesh console token"
                document.report.add(place, "is for operators, and `console.operators` is empty", remedy)


def invitations_can_be_taken(document: CheckedDocument) -> None:
    """The management server has the pages, at a port of their own, with a certificate for the name in their links."""
    pages, report = document.topology.invitations, document.report
    if pages is None:
        return
    if not any(pool.role is Role.MANAGEMENT for pool in document.topology.pools):
        remedy = "add a pool of role management, or remove `invitations`"
        report.add(("invitations",), "needs a management server, and there is none", remedy)
    console = document.topology.console
    if console is not None and split_port(console.listen)[1] == split_port(pages.listen)[1]:
        report.add(("invitations", "listen"), "has the port of the console", "give it another port")
    if (pages.certificate is None) != (pages.key is None):
        key = "certificate" if pages.key is None else "key"
        report.add(("invitations", key), "stands without the other file", "give both `certificate` and `key`, or none")
    if pages.name is not None and pages.certificate is None:
        remedy = "add `certificate` and `key` for this name, or remove `name`"
        report.add(("invitations", "name"), "is not in the management server's own certificate", remedy)


def files_can_be_sent(document: CheckedDocument) -> None:
    """Files have a port, and the room of one user fits in that of the pool, and that in the room of all."""
    files, report = document.topology.files, document.report
    if files is None:
        return
    if document.topology.invitations is None:
        reason = "are on the port of `invitations`, which the topology does not have"
        report.add(("files",), reason, "add `invitations: {listen: 443}` with the address of that port")
    keys = ("largest_mb", "user_mb", "pool_mb", "total_mb")
    for key, larger in pairwise(keys):
        if getattr(files, key) > getattr(files, larger):
            remedy = f"write at most {getattr(files, larger)} in `{key}`, or more in `{larger}`"
            report.add(("files",), f"`{key}` is more than `{larger}`", remedy)


def approvals_can_be_given(document: CheckedDocument) -> None:
    """There are enough operators with different keys, and management that publishes."""
    rule = document.topology.approvals
    if rule is None:
        return
    if not any(pool.role is Role.MANAGEMENT for pool in document.topology.pools):
        remedy = "add a pool of role management, or remove `approvals`"
        document.report.add(("approvals",), "needs a management server, and there is none", remedy)
    for key, count in (("publish", rule.publish), ("block", rule.block or 0)):
        if count > len(rule.operators):
            reason = f"needs {count} operators, and there are {len(rule.operators)}"
            document.report.add(("approvals", key), reason, "add operators, or ask for fewer approvals")
    if rule.block is not None and rule.block > rule.publish:
        document.report.add(("approvals", "block"), "is more than `publish`", "a block must not need more approvals")
    _approvers_differ(document, rule)


def _approvers_differ(document: CheckedDocument, rule: Approvals) -> None:
    names: dict[str, int] = {}
    keys: dict[bytes, int] = {}
    for n, operator in enumerate(rule.operators):
        place: Loc = ("approvals", "operators", n)
        if names.setdefault(operator.name, n) != n:
            document.report.add((*place, "name"), "is the name of another operator", "give each operator a name")
        try:
            blob = PublicKey.read(operator.key).blob
        except UnusableKeyError as wrong:
            document.report.add((*place, "key"), str(wrong), "give the line of the operator's file id_ed25519.pub")
            continue
        if keys.setdefault(blob, n) != n:
            document.report.add((*place, "key"), "is the key of another operator", "each operator needs a key")
