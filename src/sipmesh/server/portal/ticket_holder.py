"""Who shows a ticket at management: the user of a phone, as a front end of the home pool has signed (`write_ticket`).

The front end says whose phone it is, as it does in each request of the user, so management believes it about the users of its
own pool only. Whether the login of the phone counts still, management asks the user database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.status import CertificateState
from sipmesh.server.console.access.account import opened
from sipmesh.server.contacts.account_ticket import KIND, LIFETIME_S, AccountTicket
from sipmesh.server.management.device_certificates import device_certificates
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.storage.users.device_rows import row_with_devices
from sipmesh.storage.users.ended_tickets import end_tickets, has_ended
from sipmesh.storage.users.password_hashes import verifier_of
from sipmesh.topology.home_pools import backup_pools, home_by_default
from sipmesh.topology.versions.jose import open_signed
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.checks import CHECKS
from sipmesh.trust.judgement.document_signer import decide
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.role import Role
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.versions.jose import Signed
    from sipmesh.topology.view import ServerView

LARGEST: Final = 16 << 10
RULE: Final = "rule R10"
_CHECKS: Final = {name: check for name, check in CHECKS.items() if name != "handshake"}


@dataclass(frozen=True, slots=True)
class TicketHolder:
    """The *user* who shows a ticket, as ``sip:user@domain``, and the *server* that has signed it.

    *device* has logged in there, "" for the own password or a sign-in. *login* is that of the ticket.
    """

    user: str
    server: str
    device: str
    login: str


def holder_of_ticket(view: ServerView, text: str, at: datetime) -> TicketHolder:
    """Return who shows a ticket at the instant *at*; *view* is that of a management server.

    Raises `RemoteError` unless a front end of the user's home pool, or of its backup pool, has signed it, as a server that we
    would open a link to, and unless the login of the phone still counts.
    """
    try:
        signed = open_signed(text.encode(), KIND, LARGEST)
        ticket = read_document(AccountTicket, signed.payload)
    except UnreadableJsonError as wrong:
        raise _refused(str(wrong)) from None
    if not at.timestamp() < ticket.until <= at.timestamp() + 2 * LIFETIME_S:
        raise _refused("it has ended, or comes from another time")
    with opened(view.loaded) as users, users.reading() as db:
        row, is_over = row_with_devices(db, ticket.user), has_ended(db, ticket.login)
    if is_over:
        raise _refused("its user has logged out")
    if row is None:
        raise _refused("its user is gone")
    device = _device_of(view.loaded, row, ticket, at)
    topology = view.loaded.topology
    home, signer = row["pool"] or home_by_default(topology), topology.pool_of(ticket.server)
    if signer is None or signer.role is not Role.FRONT_END:
        raise _refused(f"{ticket.server} is no front end of the topology in force")
    if signer.name not in {home, backup_pools(topology).get(home)}:
        raise _refused(f"{ticket.server} does not serve {ticket.user}")
    _must_be_signed_by(ticket.server, signed, view, at)
    return TicketHolder(ticket.user, ticket.server, device, ticket.login)


def end_tickets_of(view: ServerView, holder: TicketHolder, at: datetime) -> None:
    """End all tickets of the login of *holder*, at each management server that has the same database."""
    now = int(at.timestamp())
    with opened(view.loaded) as users, users.locked() as db:
        end_tickets(db, holder.login, now + 2 * LIFETIME_S, now)


def _device_of(loaded: Loaded, row: Mapping[str, Any], ticket: AccountTicket, at: datetime) -> str:
    """Return the device of the login, "" for none; raises `RemoteError` for a login that has ended."""
    verifier = verifier_of(row)
    if verifier.is_disabled or verifier.created != ticket.created:
        raise _refused("its user is disabled, or another user of the same name")
    if not verifier.counts(ticket.generation):
        raise _refused("its user has another password now, or the device was removed")
    if ticket.issued_at and verifier.has_ended(ticket.issued_at, ticket.session):
        raise _refused("its user has logged out at the provider")
    if ticket.device and not _has_certificate(loaded, ticket, at):
        raise _refused(f"the certificate of {ticket.device} has ended")
    named = (name for name, one in verifier.devices.items() if one.generation == ticket.generation)
    return ticket.device or next(named, "")


def _has_certificate(loaded: Loaded, ticket: AccountTicket, at: datetime) -> bool:
    """Tell whether a device has a certificate that counts; it has none where there is no CA on this host."""
    folder = loaded.folder / CA
    if not CaGenerations.are_in(folder):
        return False
    issued = device_certificates(CaGenerations(folder), ticket.user.removeprefix("sip:"), at)
    return any(one.device == ticket.device and one.state is CertificateState.VALID for one in issued)


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
