"""The forms about certificates and CRLs, and about enrolment."""

from __future__ import annotations

from typing import Final

from sipmesh.server.console.operations import ENROL, ENROLMENT_WITHDRAW, ISSUE, REVOKE, SIGN_CRLS
from sipmesh.server.console.pages.fields import REASON, Field, hidden
from sipmesh.server.console.pages.form import Form, page

CERTIFICATE_FORMS: Final = (
    Form(
        "/revoke",
        REVOKE,
        "/certificates",
        "Revoke a certificate",
        "Revoke",
        (
            Field("serial", "Serial number (hexadecimal)", longest=79),
            REASON,
        ),
        "Every server refuses this certificate as soon as it has the new CRL, and closes the links that rest on it. The tokens "
        "and ACME accounts of its name end. A revocation is permanent: the server needs a new certificate.",
        page("/certificates"),
        lambda done, _: f"The certificate {done.serial} of {done.server} is revoked ({done.reason}).",
        closes_links=True,
    ),
    Form(
        "/issue",
        ISSUE,
        "/certificates",
        "Issue a certificate for {server}",
        "Issue a certificate",
        (hidden("server"),),
        "{server} gets a new certificate, and the servers of this machine use theirs at once. Live links stay up.",
        page("/certificates"),
        lambda done, _: f"{done.server} has a certificate with the serial {done.serial}. {' '.join(done.faults)}",
    ),
    Form(
        "/enrol",
        ENROL,
        "/certificates",
        "Make a one-time token for EST or ACME",
        "Make a token",
        (
            Field("server", "Server", required=False),
            Field("user", "Or a user", required=False),
            Field("device", "Device of the user", required=False),
        ),
        "With this token the server or device gets its first certificate, once, within a day. The token is shown once.",
        page("/certificates"),
        lambda done, _: (
            f"{done.server} may enrol until {done.ends:%Y-%m-%d %H:%M}Z. EST: user {done.server}, password "
            f"{done.password}. ACME: key id {done.key_id}, MAC key {done.mac_key}"
        ),
    ),
    Form(
        "/enrol/withdraw",
        ENROLMENT_WITHDRAW,
        "/certificates/enrolment",
        "End {id}",
        "End {id}",
        (hidden("id"),),
        "This token or ACME account cannot be used any more. Certificates stay valid. To enrol again, the server needs a new "
        "token.",
        page("/certificates/enrolment"),
        lambda done, _: f"The {done.kind} {done.id} of {done.name} has ended.",
    ),
    Form(
        "/sign-crls",
        SIGN_CRLS,
        "/certificates",
        "Sign new CRLs",
        "Sign new CRLs",
        (),
        "Each CA signs a new CRL with the same revocations, and all servers receive it.",
        page("/certificates"),
        lambda done, _: f"New CRLs are signed: {', '.join(done.files)}.",
    ),
)
