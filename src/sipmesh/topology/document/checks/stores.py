"""What the servers of a pool store, and whether they share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.names import is_url
from sipmesh.topology.document.storage.shared import what_is_not_shared
from sipmesh.topology.document.storage.valkey_url import valkey_url
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.parts.stores import PoolStorage, Storage
    from sipmesh.topology.document.yaml_tree import Loc


def pools_share_what_they_store(document: CheckedDocument) -> None:
    """The servers of a pool that runs on several machines share a store that all of them reach."""
    for loc, pool in document.pools():
        written = document.report.root.at(loc).path
        if pool.role is Role.FRONT_END and not any(
            place[: len(written)] == written for place in document.unread.places
        ):
            for problem in what_is_not_shared(document.topology, pool):
                document.report.add((*loc, "servers"), *problem)


def store_settings_fit(document: CheckedDocument) -> None:
    """A store over TLS has anchors, and its settings are for a store: who trusts no CA is refused by every certificate."""
    _settings_fit(document, ("storage",), document.topology.storage)
    for loc, pool in document.pools():
        if pool.storage is not None and not document.is_unread((*loc, "storage")):
            _settings_fit(document, (*loc, "storage"), pool.storage)


def front_ends_alone_have_a_store(document: CheckedDocument) -> None:
    """A pool with a store of its own has registrations, and one with a history has users: it is a front-end pool."""
    for loc, pool in document.pools():
        if pool.storage is not None and pool.role is not Role.FRONT_END:
            remedy = "remove it; only front-end pools have registrations"
            document.report.add((*loc, "storage"), f"a pool of role {pool.role} stores no registrations", remedy)
        if pool.history is not None and pool.role is not Role.FRONT_END:
            remedy = "remove it; only front-end pools are home pools of users"
            document.report.add((*loc, "history"), f"a pool of role {pool.role} keeps no message history", remedy)


def _settings_fit(document: CheckedDocument, part: Loc, storage: Storage | PoolStorage) -> None:
    loc: Loc = (*part, "valkey")
    if document.is_unread((*part, "bindings")) or document.is_unread(loc):
        return
    if not is_url(storage.bindings):
        if storage.valkey.model_fields_set:
            remedy = "remove it, or write `bindings: valkeys://HOST:PORT`"
            document.report.add(loc, "has no effect while `bindings` is a file", remedy)
        return
    tls = valkey_url(storage.bindings).tls
    if tls and not storage.valkey.anchors:
        remedy = "name the PEM file of the CA that has issued the store's certificate: `valkey: {anchors: [ca.pem]}`"
        document.report.add((*part, "bindings"), "needs `valkey.anchors` for TLS", remedy)
    if not tls and storage.valkey.anchors:
        document.report.add(
            (*loc, "anchors"), "has no effect without TLS", "write valkeys:// in `bindings`, or remove it"
        )
    if bool(storage.valkey.certificate) != bool(storage.valkey.key):
        given, lacking = ("certificate", "key") if storage.valkey.certificate else ("key", "certificate")
        document.report.add((*loc, given), f"needs `{lacking}` also", f"name both files: add `{lacking}`")
