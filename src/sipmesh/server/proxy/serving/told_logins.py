"""The server of a link tells the notifier of its pool by which login a phone has subscribed to its user's profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.events.login_proof import FIELD, LoginProof
from sipmesh.routing.events.packages import UA_PROFILE, event_type
from sipmesh.routing.identity.sender import Sender, ServerSender
from sipmesh.routing.outcome import Outcome, ToUser

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.sip.message import Request


def tell_login(request: Request, flow: Flow, sender: Sender, outcome: Outcome, pool: str) -> None:
    """Write into a SUBSCRIBE to the own profile by which login on *flow* it was sent; our own *pool* has done so already."""
    if isinstance(sender, ServerSender) and sender.peer.pool == pool:
        return
    request.remove(FIELD)
    if not isinstance(outcome, ToUser) or outcome.device is not None or isinstance(sender, ServerSender):
        return
    is_own = outcome.identity == outcome.aor and event_type(request) == UA_PROFILE.name
    proof = proof_of(flow, outcome.aor) if is_own else None
    if proof is not None:
        request.append(FIELD, proof.written())


def proof_of(flow: Flow, aor: str) -> LoginProof | None:
    """Return how *aor* has logged in on *flow*, None if *aor* has not."""
    generation, token = flow.generations.get(aor), flow.tokens.get(aor)
    if generation is None:
        return None
    link = f"{flow.link.local[0]}.{flow.incarnation}.{flow.link.id}"
    if token is not None:
        return LoginProof(generation, "", token.issued_at, token.session, link)
    verdict = flow.link.verdict
    by_certificate = verdict.device if verdict is not None and flow.device == aor else None
    return LoginProof(generation, by_certificate.device if by_certificate is not None else "", link=link)
