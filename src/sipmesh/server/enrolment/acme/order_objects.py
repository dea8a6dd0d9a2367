"""The JSON of orders, authorizations and challenges (RFC 8555 7.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.server.enrolment.acme.challenges import KINDS
from sipmesh.server.enrolment.problem import NAMESPACE
from sipmesh.storage.enrolment.acme_orders import ChallengeStatus, OrderStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sipmesh.server.enrolment.acme.asked import Asked
    from sipmesh.storage.enrolment.acme_orders import AcmeOrder

_OF_AUTHORIZATION: Final = {
    OrderStatus.PENDING: "pending",
    OrderStatus.READY: "valid",
    OrderStatus.PROCESSING: "valid",
    OrderStatus.VALID: "valid",
    OrderStatus.INVALID: "invalid",
}


def order(asked: Asked, found: AcmeOrder) -> Mapping[str, object]:
    """Return the JSON of an order (RFC 8555 7.1.3)."""
    body: dict[str, object] = {
        "status": found.status,
        "expires": _instant(found.expires),
        "identifiers": [{"type": "dns", "value": name} for name in found.names],
        "authorizations": [asked.link("authz", found.id)],
        "finalize": asked.link("order", found.id, "finalize"),
    }
    if found.chain:
        body["certificate"] = asked.link("cert", found.id)
    return body | _error(found)


def authorization(asked: Asked, found: AcmeOrder) -> Mapping[str, object]:
    """Return the JSON of the authorization of an order (RFC 8555 7.1.4)."""
    shown = (found.chosen,) if found.chosen else KINDS
    return {
        "identifier": {"type": "dns", "value": found.server},
        "status": _OF_AUTHORIZATION[found.status],
        "expires": _instant(found.expires),
        "challenges": [challenge(asked, found, kind) for kind in shown],
    }


def challenge(asked: Asked, found: AcmeOrder, kind: str) -> Mapping[str, object]:
    """Return the JSON of a challenge (RFC 8555 7.1.5): only the kind that the client has chosen leaves `pending`."""
    status = found.challenge if kind == found.chosen else ChallengeStatus.PENDING
    body: dict[str, object] = {
        "type": kind,
        "url": asked.link("chall", found.id, kind),
        "status": status,
        "token": found.token,
    }
    if status is ChallengeStatus.VALID and found.validated is not None:
        body["validated"] = _instant(found.validated)
    return body | (_error(found) if status is ChallengeStatus.INVALID else {})


def _error(found: AcmeOrder) -> dict[str, object]:
    if not found.fault:
        return {}
    return {"error": {"type": f"{NAMESPACE}{found.fault}", "detail": found.detail, "status": 403}}


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
