"""What the logins by access tokens must agree with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument


def tokens_are_for_sip_alone(document: CheckedDocument) -> None:
    """The audience is the name of no client: an ID token of such a client would be taken for an access token."""
    oauth, console = document.topology.oauth, document.topology.console
    if oauth is None:
        return
    clients = {
        ("console", "openid", "client_id"): console.openid.client_id
        if console is not None and console.openid
        else None,
        ("oauth", "web_phone", "client_id"): oauth.web_phone.client_id if oauth.web_phone else None,
        ("oauth", "portal", "client_id"): oauth.portal.client_id if oauth.portal else None,
        ("oauth", "introspection", "client_id"): oauth.introspection.client_id if oauth.introspection else None,
    }
    if oauth.portal is not None and document.topology.invitations is None:
        reason = "is on the port of `invitations`, which the topology does not have"
        document.report.add(
            ("oauth", "portal"), reason, "add `invitations: {listen: 443}` with the address of that port"
        )
    for place, client in clients.items():
        if client == oauth.audience:
            reason = f"is the name of the client at {document.place(place)}"
            remedy = "give tokens for SIP an audience of their own at the provider, and write it here"
            document.report.add(("oauth", "audience"), reason, remedy)
