"""Tickets for the contacts of one user: a front end of the home pool makes them for a phone that has logged in there.

The web phone shows its ticket to management. The front end says whose phone it is, as it does in each request of the user, so
management believes it about the users of its own pool only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.errors import LocalError, OperatorError, RemoteError
from sipmesh.pki import files
from sipmesh.storage.users.user_rows import disabled_since, rows_of
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.home_pools import backup_pools, home_by_default
from sipmesh.topology.versions.jose import open_signed, sign
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.checks import CHECKS
from sipmesh.trust.judgement.document_signer import decide
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.role import Role
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.storage.users import user_tables as tables
    from sipmesh.topology.versions.jose import Signed
    from sipmesh.topology.view import ServerView
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")

KIND: Final = "sipmesh-contacts-ticket"
LIFETIME_S: Final = 900
"""Seconds for which a ticket counts: the web phone gets another one each 10 minutes."""

LARGEST: Final = 16 << 10
RULE: Final = "rule R10"
_CHECKS: Final = {name: check for name, check in CHECKS.items() if name != "handshake"}


@dataclass(frozen=True, slots=True)
class ContactTicket:
    """The contacts of *user* (``sip:user@domain``) until *until*, in epoch seconds, while the password has this *generation*.

    *server* is the front end at which the phone has logged in.
    """

    server: str
    user: str
    generation: int
    until: int


def write_ticket(view: ServerView, user: str, generation: int, at: float) -> str:
    """Sign a ticket as the server of *view*; "" if its files cannot sign, such as a key that is not ECDSA."""
    ticket = {"server": view.name, "user": user, "generation": generation, "until": int(at) + LIFETIME_S}
    try:
        chain = read_certificates(view.certificate)
        return sign(json.dumps(ticket).encode(), KIND, chain, files.read_key(view.key)).decode()
    except (OperatorError, LocalError, UnusableFileError):  # the server says in its status what is wrong with its files
        return ""


def user_of_ticket(view: ServerView, db: sql.Connection, text: str, at: datetime) -> str:
    """Return the user whose contacts a ticket opens at the instant *at*; *view* is that of a management server.

    Raises `RemoteError` unless a front end of the user's home pool, or of its backup pool, has signed it, as a server that we
    would open a link to, and unless the user has still the password with which the phone has logged in.
    """
    try:
        signed = open_signed(text.encode(), KIND, LARGEST)
        ticket = read_document(ContactTicket, signed.payload)
    except UnreadableJsonError as wrong:
        raise _refused(str(wrong)) from None
    if not at.timestamp() < ticket.until <= at.timestamp() + 2 * LIFETIME_S:
        raise _refused("it has ended, or comes from another time")
    rows = rows_of(db, sql.select(tables.USERS).where(tables.USERS.c.aor == ticket.user))
    if not rows or rows[0]["generation"] != ticket.generation or disabled_since(db, ticket.user) is not None:
        raise _refused("its user has another password now, is disabled, or is gone")
    topology = view.loaded.topology
    home, signer = rows[0]["pool"] or home_by_default(topology), topology.pool_of(ticket.server)
    if signer is None or signer.role is not Role.FRONT_END:
        raise _refused(f"{ticket.server} is no front end of the topology in force")
    if signer.name not in {home, backup_pools(topology).get(home)}:
        raise _refused(f"{ticket.server} does not serve {ticket.user}")
    _must_be_signed_by(ticket.server, signed, view, at)
    return ticket.user


def _must_be_signed_by(server: str, signed: Signed, view: ServerView, at: datetime) -> None:
    """Judge the certificate of the signer as on a link that we open to *server*, without what only a handshake has."""
    anchors = view.loaded.authority.anchors
    errors = path_errors(signed.chain, anchors, at)
    evidence = PeerEvidence(Direction.OPENED, LinkKind.SERVER, ("", 0), ("", 0), signed.presented, errors)
    evaluation = Evaluation(evidence, view.open_policy(LinkKind.SERVER, server), at)
    verdict = decide(evaluation, _CHECKS, {})
    if not verdict.is_trusted:
        raise _refused(f"its signer is not {server}: {verdict.code}: {'; '.join(verdict.reasons)}")


def _refused(why: str) -> RemoteError:
    return RemoteError(f"the ticket is refused: {why}", rule=RULE, status=401)
