"""Tickets for the account of one user: a front end of the home pool makes them for a phone that has logged in there.

The web phone shows its ticket to management (`sipmesh.server.portal.ticket_holder`), for the contacts and the rules of calls.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError, OperatorError
from sipmesh.pki import files
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import sign

if TYPE_CHECKING:
    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.routing.events.login_proof import LoginProof
    from sipmesh.topology.view import ServerView

KIND: Final = "sipmesh-account-ticket"
LIFETIME_S: Final = 900
"""Seconds for which a ticket counts: the web phone gets another one each 10 minutes."""


@dataclass(frozen=True, slots=True)
class AccountTicket:
    """The account of *user* (``sip:user@domain``), *created* at this instant in microseconds, until *until* in epoch seconds.

    *server* is the front end of the home pool, and the others are how the phone has logged in (`LoginProof`). The ticket ends
    with that login.
    """

    server: str
    user: str
    created: int
    generation: int
    device: str
    issued_at: float
    session: str
    link: str
    until: int

    @property
    def login(self) -> str:
        """The hash of whose login it is, by which link: the same for all tickets of this login."""
        return hashlib.sha256(f"{self.user} {self.created} {self.link}".encode()).hexdigest()


def write_ticket(view: ServerView, user: Verifier, login: LoginProof, at: float) -> str:
    """Sign a ticket as the server of *view*; "" if its files cannot sign, such as a key that is not ECDSA."""
    until = int(at) + LIFETIME_S
    ticket = AccountTicket(view.name, user.aor, user.created, **asdict(login), until=until)
    try:
        chain = read_certificates(view.certificate)
        return sign(json.dumps(asdict(ticket)).encode(), KIND, chain, files.read_key(view.key)).decode()
    except (OperatorError, LocalError, UnusableFileError):  # the server says in its status what is wrong with its files
        return ""
