"""A sync of the directory on the host of the CA: the certificates of devices end with the access of their user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.directory.source import LdapSource, Source
from sipmesh.server.directory.sync import DirectorySync
from sipmesh.server.management.device_certificates import revoke_devices
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.scim.scim_source import ScimSource
from sipmesh.storage.enrolment.end_enrolment import end_enrolment

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sipmesh.storage.audit_act import AuditAct
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.load import Loaded


def directory_sync(loaded: Loaded, users: Users, management_db: ManagementDb, who: str) -> DirectorySync:
    """Make what syncs the users of *loaded* in *users*; *who* is the operator in the audit log of *management_db*."""
    folder = loaded.folder / CA

    def end_devices(users: Collection[str], at: datetime) -> int:
        def note(act: AuditAct, /, **about: object) -> None:
            management_db.audit.append(who, act, about, at=at)

        if not CaGenerations.are_in(folder):
            return 0
        try:
            for user in users:
                end_enrolment(management_db, user, at, note)
        finally:  # the certificates are revoked also if the tokens cannot be withdrawn
            revoked = revoke_devices(CaGenerations(folder), users, Reason.CESSATION_OF_OPERATION, at, note)
        return len(revoked)

    source: Source = LdapSource(loaded) if loaded.topology.scim is None else ScimSource(loaded, users)
    return DirectorySync(loaded, users, management_db, who, end_devices, source)
