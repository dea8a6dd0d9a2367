"""The grants of a draft on this host: a new server is one for a security officer if our CA may have certified its name before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.server.management.publishing.decommission import CA, servers_of
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.grants.key_changes import POOLS, SERVERS
from sipmesh.topology.versions.grants.rules import grants

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.versions.grants.grant import Grant


def draft_grants(before: Loaded, new: Loaded) -> Sequence[Grant]:
    """Return the grants of *new* beside *before*, the version in force.

    A new server is worth nothing without a certificate: that is why an operator may add one. A name that was removed, and whose
    certificate was not revoked then, has one. Blocks for the ledger if there is a new server.
    """
    given, names = grants(before, new), servers_of(new) - servers_of(before)
    if not names or not _may_be_certified(before.folder / CA, names):
        return given
    return [replace(one, role=ConsoleRole.SECURITY_OFFICER) if one.key in {POOLS, SERVERS} else one for one in given]


def _may_be_certified(ca: Path, names: frozenset[str]) -> bool:
    """Return whether one of *names* may have a valid certificate; this is unknown if the CA or its ledger is elsewhere."""
    if not CaGenerations.are_in(ca):
        return True
    at = datetime.now(UTC)
    try:
        records = CaGenerations(ca).records()
    except OperatorError:
        return True
    servers = (record for record in records if record.kind == CertificateKind.SERVER)
    return any(names.intersection(record.names[:1]) and record.may_be_valid(at) for record in servers)
