"""What the logins of users by access tokens and by tickets must agree with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.formatting import tell_list

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument


def portal_is_of_a_domain(document: CheckedDocument) -> None:
    """The users whom tickets sign in are of a SIP domain of ours."""
    pages = document.topology.invitations
    realm = pages.portal.kerberos if pages is not None and pages.portal is not None else None
    if realm is not None and realm.domain not in document.topology.sip_domains:
        remedy = f"write one of `sip_domains`: {tell_list(document.topology.sip_domains)}"
        document.report.add(
            ("invitations", "portal", "kerberos", "domain"), f"{realm.domain} is no SIP domain of ours", remedy
        )


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
