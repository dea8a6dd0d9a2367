"""Make a one-time token for a name of the topology in force, and say where it is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.enrolment.device_enrolment import device_of_store, is_login_of_device
from sipmesh.server.enrolment.enrollable import enrollable
from sipmesh.server.enrolment.new_token import new_token
from sipmesh.server.enrolment.paths import ACME, EST
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.topology.document.parts.enrolment import EnrolmentProtocol

if TYPE_CHECKING:
    from datetime import timedelta

    from sipmesh.storage.audit_act import Note
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class TokenReport:
    """A new token, shown once: *server* and *password* for EST, *key_id* and *mac_key* for ACME; *ends* is its end.

    *est* and *acme* are the URLs at which it counts, that of the directory for ACME; "" for a protocol that is off.
    """

    server: str
    password: str = field(repr=False)
    key_id: str
    mac_key: str = field(repr=False)
    ends: datetime
    est: str
    acme: str


def checked_name(view: ServerView, server: str, user: str = "", device: str = "") -> str:
    """Return the name of a *server* of the topology, or the login of a *device* of a *user*; raises `OperatorError`."""
    if bool(server) == bool(user) or bool(user) != bool(device):
        raise OperatorError("name a server, or a user and a device")
    if server:
        return enrollable(view, server).name
    generations = CaGenerations(view.loaded.folder / CA)
    return device_of_store(generations, view.loaded, user, device).login


def token_for(
    view: ServerView, management_db: ManagementDb, name: str, who: str, at: datetime, lifetime: timedelta, note: Note
) -> TokenReport:
    """Make a token for the server or the login of a device *name*; raises `OperatorError`, and then none is made.

    *view* is that of a management server.
    """
    console = view.loaded.topology.console
    enrolment = console.enrolment if console is not None else None
    if view.console is None or enrolment is None:
        remedy = "add `enrolment: {protocols: [est, acme]}` to `console` in the topology, and publish"
        raise OperatorError(f"no server can enrol: {remedy}")
    ca = view.loaded.folder / CA
    made = new_token(name, ca, management_db.enrolment_tokens, who, at, lifetime, note)
    host = view.pool.name if view.pool_mates else view.name
    base = f"https://{host}:{view.console[1]}"
    est = f"{base}{EST}" if EnrolmentProtocol.EST in enrolment.protocols else ""
    is_server = EnrolmentProtocol.ACME in enrolment.protocols and not is_login_of_device(name)
    acme = f"{base}{ACME}/directory" if is_server else ""  # a device has no server that answers a challenge
    return TokenReport(made.server, made.password, made.key_id, made.mac_key, made.expires, est, acme)
